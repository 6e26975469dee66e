// SPDX-License-Identifier: MIT
// Loads a model with node-llama-cpp, generates from it greedily, unloads it, and prints JSON: what
// llama-load does, by a program that knows nothing of it.
//
//   node node_load.mjs LLAMA MODEL COUNT      LLAMA: where bench/llama/fetch put llama.cpp
import {readFileSync} from "node:fs";
import {resolve} from "node:path";
import {pathToFileURL} from "node:url";

const [folder, model_path, count] = process.argv.slice(2);
const library = resolve(folder, "node_modules/node-llama-cpp/dist/index.js");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(library).href);

// The prebuilt libraries or none: nothing is compiled or downloaded here.
const llama = await getLlama({
  gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error,
});
const start = performance.now();
const model = await llama.loadModel({modelPath: resolve(model_path)});
const load_ms = performance.now() - start;

// Names of what is really mapped: lines of "FROM-TO r--s OFFSET DEVICE INODE NAME".
const lines = readFileSync("/proc/self/maps", "utf8").split("\n").map((line) => line.split(/\s+/));
const shared = lines.filter(([, rights, , , inode]) => /^r..s$/.test(rights) && inode !== "0");
const shared_names = [...new Set(shared.map((words) => words.slice(5).join(" ")))];

const context = await model.createContext({contextSize: 256, threads: 2});
const prompt = [model.tokens.bos, ...model.tokenize("Once upon a time", false)];
const tokens = [];
for await (const token of context.getSequence().evaluate(prompt, {temperature: 0})) {
  if (tokens.push(token) >= Number(count))
    break;
}
await model.dispose();
console.log(JSON.stringify({load_ms, tokens, shared_names}));
