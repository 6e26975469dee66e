#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""mkfs, fsck and dump of pools in image files: tools_test.py MKFS FSCK DUMP MAKE_SAMPLE"""

import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

MKFS, FSCK, DUMP, MAKE_SAMPLE = sys.argv[1:5]
FRAME = 4096
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="morsel-pool-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = os.path.join(self.folder, "pool.img")

    def run_tool(self, *command, status=0):
        """The tool's standard output; self.errors has its standard error."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output = done.stdout.decode()
        self.errors = done.stderr.decode()
        self.assertEqual(done.returncode, status, f"{command}: {output}{self.errors}")
        if status:
            self.assertEqual(self.errors.count("Sanitizer"), 0, self.errors)
        return output

    def mkfs(self, *options, status=0):
        return self.run_tool(MKFS, *options, self.image, status=status)

    def fsck(self, *options, status=0):
        return self.run_tool(FSCK, *options, self.image, status=status)

    def fsck_json(self, *options, status=0):
        document = json.loads(self.fsck("--json", *options, status=status))
        self.assertEqual(document["schema"], 1)
        self.assertEqual(document["status"], status)
        return document

    def dump(self, *arguments, status=0):
        return self.run_tool(DUMP, self.image, *arguments, status=status)

    def dump_json(self, *arguments):
        document = json.loads(self.dump("--json", *arguments))
        self.assertEqual(document["schema"], 1)
        return document

    def content(self):
        with open(self.image, "rb") as file:
            return file.read()

    def read(self, place, size=8):
        return self.content()[place:place + size]

    def write(self, place, data):
        with open(self.image, "r+b") as file:
            file.seek(place)
            file.write(data)

    def write_word(self, place, value):
        self.write(place, struct.pack("<Q", value))

    def flip(self, place, bit=0):
        self.write(place, bytes([self.read(place, 1)[0] ^ 1 << bit]))


class Mkfs(Case):
    def test_makes_an_image_that_is_sound(self):
        text = self.mkfs("-s", "1M", "-L", "models", "-U", UUID, "--base", "0x100000000")
        for part in ("1.00 MiB", "models", UUID):
            self.assertIn(part, text)
        self.assertEqual(os.path.getsize(self.image), 1 << 20)
        shown = self.dump_json()
        self.assertEqual(shown["superblock"]["label"], "models")
        self.assertEqual(shown["superblock"]["uuid"], UUID)
        self.assertEqual(shown["superblock"]["base"], 0x100000000)
        self.assertEqual(shown["superblock"]["frames"], 256)
        self.assertTrue(shown["superblock"]["clean"])
        self.assertEqual(shown["frames"]["used"], 4)
        self.assertEqual(shown["inodes"], {"files": 0, "directories": 1, "links": 0, "others": 0})
        self.assertIn("sound", self.fsck("-n"))

    def test_is_quiet_if_asked(self):
        self.assertEqual(self.mkfs("-q", "-s", "64K"), "")
        self.assertEqual(self.errors, "")

    def test_makes_a_uuid_of_its_own_each_time(self):
        uuids = set()
        for _ in range(3):
            self.mkfs("-f", "-s", "64K")
            uuids.add(self.dump_json()["superblock"]["uuid"])
        self.assertEqual(len(uuids), 3)
        self.assertTrue(all(uuid[14] == "4" for uuid in uuids))

    def test_uses_a_file_that_is_there(self):
        with open(self.image, "wb") as file:
            file.truncate(100 * FRAME + 17)
        self.mkfs()
        self.assertEqual(self.dump_json()["superblock"]["frames"], 100)
        self.assertEqual(os.path.getsize(self.image), 100 * FRAME + 17)

    def test_overwrites_only_by_force(self):
        signatures = {"ext2, ext3 or ext4": (1080, b"\x53\xef"), "XFS": (0, b"XFSB"),
                      "btrfs": (0x10040, b"_BHRfS_M"), "swap": (4086, b"SWAPSPACE2"),
                      "LUKS": (0, b"LUKS\xba\xbe"), "partition table": (510, b"\x55\xaa"),
                      "not known": (5000, b"x")}
        for what, (place, data) in signatures.items():
            with open(self.image, "wb") as file:
                file.truncate(1 << 20)
            self.write(place, data)
            before = self.content()
            self.mkfs(status=1)
            self.assertIn(what, self.errors)
            self.assertIn("-f", self.errors)
            self.assertEqual(self.content(), before)
            self.mkfs("-f")
            self.fsck()
            self.assertNotEqual(self.read(place, len(data)), data)
        self.mkfs(status=1)
        self.assertIn("a pool of morselfs", self.errors)
        self.mkfs("-s", "2M", status=1)
        self.assertIn("is there already", self.errors)
        self.assertEqual(os.path.getsize(self.image), 1 << 20)
        self.mkfs("-f", "-s", "2M")
        self.assertEqual(os.path.getsize(self.image), 2 << 20)

    def test_an_old_pool_is_gone(self):
        self.run_tool(MAKE_SAMPLE, self.image)
        self.mkfs("-f", "-q")
        self.assertEqual(self.dump_json()["frames"]["used"], 4)
        self.assertEqual(self.dump_json("/")["entries"], [])

    def test_says_what_is_wrong(self):
        self.mkfs(status=1)
        self.assertIn("No such file", self.errors)
        self.assertIn("-s SIZE", self.errors)
        self.mkfs("-s", "60K", status=1)
        self.assertIn("at least 64.0 KiB", self.errors)
        self.assertFalse(os.path.exists(self.image))
        self.mkfs("-s", "many", status=2)
        self.assertIn("'many' is no size", self.errors)
        self.mkfs("-s", "1M", "-L", "x" * 32, status=2)
        self.assertIn("at most 31", self.errors)
        self.mkfs("-s", "1M", "-U", "1234", status=2)
        self.assertIn("'1234' is no UUID", self.errors)
        self.mkfs("-s", "1M", "--nonsense", status=2)
        self.run_tool(MKFS, status=2)
        self.run_tool(MKFS, self.folder, status=1)
        self.assertIn("is a directory", self.errors)
        self.run_tool(MKFS, "/dev/null", status=1)
        self.assertIn("character device", self.errors)
        with open(self.image, "wb") as file:
            file.truncate(15 * FRAME)
        self.mkfs(status=1)
        self.assertIn("at least 64.0 KiB", self.errors)
        self.mkfs("-f", "-s", "1M", "--base", "17", status=2)
        self.assertIn("--base", self.errors)
        self.mkfs("-f", "-s", "1M", "--base", str((1 << 52) - FRAME), status=2)

    def test_helps(self):
        for tool in (MKFS, FSCK, DUMP):
            self.assertIn("Exit status", self.run_tool(tool, "--help"))
            self.assertIn("format 1", self.run_tool(tool, "--version"))

    def test_leaves_what_another_program_has(self):
        self.mkfs("-s", "1M")
        with open(self.image, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.mkfs("-f", status=1)
            self.assertIn("in use by another program", self.errors)
            self.mkfs("-f", "-s", "2M", status=1)
            self.assertIn("in use by another program", self.errors)
            self.assertEqual(os.path.getsize(self.image), 1 << 20)
            self.fsck("-y", status=8)
            self.fsck("-n")
            self.dump()


class Sample(Case):
    def setUp(self):
        super().setUp()
        self.run_tool(MAKE_SAMPLE, self.image)

    def inode(self, path):
        return self.dump_json(path)["inode"]

    def root_table(self, path, twin):
        return (self.dump_json(path)["roots"][twin] - self.dump_json()["superblock"]["base"]) \
            // FRAME * FRAME

    def name_place(self, path):
        """Of the word that leads to the inode."""
        data = self.content()
        inode = self.inode(path)
        for place in range(0, len(data), FRAME):
            if data[place:place + 8] != b"MMMNAMES":
                continue
            for slot in range(place + 16, place + FRAME, 272):
                if struct.unpack_from("<Q", data, slot)[0] == inode:
                    return slot
        self.fail(f"no name leads to {path}")


class Dump(Sample):
    def test_the_pool(self):
        shown = self.dump_json()
        self.assertEqual(shown["superblock"]["label"], "test")
        self.assertEqual(shown["inodes"],
                         {"files": 6, "directories": 3, "links": 1, "others": 22})
        frames = shown["frames"]
        self.assertEqual(frames["data"], 9)
        self.assertEqual(frames["tables"], 12)
        self.assertEqual(frames["xattrs"], 2)
        self.assertEqual(frames["link_targets"], 1)
        self.assertEqual(frames["names"], 4)
        self.assertEqual(frames["inodes"], 32)
        kinds = ("data", "tables", "inodes", "names", "link_targets", "xattrs")
        self.assertEqual(3 + sum(frames[kind] for kind in kinds), frames["used"])
        self.assertEqual(frames["used"] + frames["free"], 512)
        self.assertEqual(shown["names"], 32)
        self.assertEqual(shown["damage"], 0)
        text = self.dump()
        for part in ("test", "settled", "512 frames", "metadata per GiB of data"):
            self.assertIn(part, text)

    def test_a_file(self):
        shown = self.dump_json("/file")
        self.assertEqual(shown["type"], "file")
        self.assertTrue(shown["sound"])
        self.assertEqual(shown["attributes"]["size"], 4 * FRAME + 100)
        self.assertEqual(shown["attributes"]["mode"], 0o644)
        self.assertEqual(shown["xattrs"], {"user.colour": "blue", "user.empty": ""})
        self.assertEqual(shown["pages"], 5)
        pages = {}
        for extent in shown["extents"]:
            for i in range(extent["pages"]):
                pages[extent["page"] + i] = extent["frame"] + i
        self.assertEqual(sorted(pages), [0, 1, 2, 3, 4])
        for page, frame in pages.items():
            self.assertEqual(self.read(frame * FRAME, FRAME), bytes([1 + page]) * FRAME)
        text = self.dump("/file")
        for part in ("user.colour", '"blue"', "0644", "16484"):
            self.assertIn(part, text)

    def test_a_tall_file_has_its_pages(self):
        self.assertEqual([extent["page"] for extent in self.dump_json("tall")["extents"]],
                         [0, 700])

    def test_a_directory(self):
        names = {entry["name"]: entry["inode"] for entry in self.dump_json("/folder")["entries"]}
        self.assertEqual(set(names), {"deep", "again", "link"})
        self.assertEqual(names["again"], self.inode("/twice"))
        self.assertEqual(len(self.dump_json("/folder/deep")["entries"]), 21)
        self.assertEqual(self.dump_json("folder//./deep/inner")["path"], "/folder/deep/inner")

    def test_other_types(self):
        self.assertEqual(self.dump_json("/folder/link")["target"], "../file")
        self.assertEqual(self.dump_json("/fifo")["type"], "FIFO")
        self.assertEqual(self.dump_json("/device")["device"], [0, 3])
        self.assertEqual(self.dump_json("/twice")["names"], 2)
        self.assertEqual(self.dump_json("/")["inode"], 3)

    def test_by_number(self):
        self.assertEqual(self.dump_json("-i", str(self.inode("/file")))["path"], "/file")

    def test_what_is_not_there(self):
        self.dump("/nothing", status=1)
        self.assertIn("/nothing is not in the pool", self.errors)
        self.dump("/file/below", status=1)
        self.dump("-i", "500", status=1)
        self.assertIn("no name leads to an inode 500", self.errors)
        self.dump("-i", "99999999", status=1)
        self.dump("-i", "7", "/file", status=2)
        self.image += "-missing"
        self.dump(status=1)
        self.assertIn("No such file", self.errors)

    def test_writes_nothing_and_shows_damage(self):
        self.write_word(self.root_table("/file", 0) + 8, 0xdeadbeef)
        before = self.content()
        shown = self.dump_json("/file")
        self.assertFalse(shown["sound"])
        self.assertNotIn("extents", shown)
        self.assertIn("the pool is damaged", self.errors)
        self.assertIn("DAMAGED", self.dump("/file"))
        self.assertEqual(self.dump_json()["damage"], 1)
        self.assertEqual(self.content(), before)


class Fsck(Sample):
    def repair(self, kind, path=None, status=4):
        """Looks, mends leftovers, repairs, looks again."""
        before = self.content()
        looked = self.fsck_json("-n", status=status)
        self.assertEqual(self.content(), before)
        found = [finding for finding in looked["findings"] if finding["kind"] == kind]
        self.assertTrue(found, looked)
        self.assertEqual(found[0]["damage"], status != 0)
        self.assertEqual(found[0]["outcome"], "left")
        if path:
            self.assertIn(path, [finding.get("path") for finding in found])
        text = self.fsck(status=status)
        if path and status:
            self.assertIn(f"{path}: ", text)
            self.assertIn("a repair would", text)
            self.assertIn("DAMAGED", text)
            self.assertIn("fsck.morselfs -y", self.errors)
        if status:
            done = self.fsck_json("-a", "-f", status=4)
            self.assertIn(kind, [finding["kind"] for finding in done["findings"]])
        done = self.fsck_json("-y", status=1)
        found = [finding for finding in done["findings"] if finding["kind"] == kind]
        self.assertEqual(found[0]["outcome"], "repaired" if status else "mended")
        self.assertIn("done", found[0])
        clean = self.fsck_json("-n")
        self.assertEqual(clean["findings"], [])
        return done

    def test_what_is_sound(self):
        before = self.content()
        for option in ((), ("-n",), ("-a",), ("-p",), ("-a", "-f"), ("-y",), ("-v",)):
            text = self.fsck(*option)
            self.assertIn("clean" if option in (("-a",), ("-p",)) else "sound", text)
            self.assertEqual(self.content(), before)
        self.assertIn("6 files, 3 directories", self.fsck())

    def test_a_damaged_entry(self):
        for twin in 0, 1:
            self.write_word(self.root_table("/file", twin) + 16, 0x123456789000 | 0x25)
        self.repair("bad_entry", "/file")
        self.assertEqual(self.dump_json("/file")["pages"], 4)
        self.assertEqual(self.dump_json("/tall")["pages"], 2)

    def test_a_damaged_entry_of_one_twin(self):
        sound = self.content()
        self.write_word(self.root_table("/file", 1) + 16, 0x123456789000 | 0x25)
        self.repair("bad_leaf", "/file")
        self.assertEqual(self.content(), sound)
        self.assertEqual(self.dump_json("/tall")["pages"], 2)

    def test_a_damaged_inode(self):
        inode = self.inode("/folder/deep/inner")
        self.flip(inode * FRAME + 20)
        self.repair("bad_inode", "/folder/deep/inner")
        self.dump("/folder/deep/inner", status=1)

    def test_a_damaged_name(self):
        self.flip(self.name_place("/file") + 16)
        self.repair("bad_name", "/gile")

    def test_damaged_attributes(self):
        inode = self.inode("/file")
        self.flip(inode * FRAME + 128 + 8)
        self.flip(inode * FRAME + 256 + 8)
        self.repair("bad_attributes", "/file")
        self.assertEqual(self.dump_json("/file")["attributes"]["size"], 5 * FRAME)

    def test_a_damaged_root_directory(self):
        self.flip(3 * FRAME)
        before = self.content()
        looked = self.fsck_json(status=4)
        self.assertEqual(looked["findings"][0]["kind"], "bad_inode")
        self.assertEqual(self.content(), before)
        self.fsck("-a", "-f", status=4)
        self.dump(status=1)
        self.fsck("-y", status=1)
        self.assertEqual(self.dump_json("/file")["pages"], 5)
        self.fsck()

    def test_a_link_without_a_target(self):
        self.write_word(self.inode("/folder/link") * FRAME + 88, 0)
        self.repair("bad_link", "/folder/link")
        self.dump("/folder/link", status=1)

    def test_extended_attributes(self):
        self.write_word(self.inode("/file") * FRAME + 96, 1 << 50)
        self.repair("bad_xattrs", "/file")
        self.assertNotIn("xattrs", self.dump_json("/file"))

    def test_leftovers(self):
        self.write_word(self.root_table("/file", 1) + 16, 0)
        before = self.content()
        text = self.fsck("-n")
        self.assertIn("leftovers of a power cut: 1", text)
        self.assertIn("the next mount puts them in order", text)
        self.assertIn("/file: ", self.fsck("-v"))
        self.assertEqual(self.content(), before)
        self.assertEqual(self.fsck_json("-a", "-f", status=1)["findings"][0]["outcome"], "mended")
        self.fsck("-n")
        self.assertEqual(self.dump_json("/file")["pages"], 4)

    def test_leftovers_go_with_a_repair_too(self):
        self.write_word(self.root_table("/file", 0) + 16, 0)
        self.repair("half_leaf", "/file", status=0)

    def test_after_a_power_cut(self):
        """Not cleanly unmounted: -a looks at all of it."""
        self.change_superblock("<I", 116, 0)
        self.write_word(self.root_table("/file", 1) + 16, 0)
        self.assertFalse(self.dump_json()["superblock"]["clean"])
        self.assertIn("put right", self.fsck("-p", status=1))
        self.assertTrue(self.dump_json()["superblock"]["clean"])
        self.assertIn("clean", self.fsck("-p"))

    def test_a_move_to_another_base_that_was_cut_short(self):
        self.change_superblock("<I", 112, 1)
        self.assertEqual(self.dump_json()["superblock"]["phase"], "loosening")
        self.assertEqual(self.dump_json("/file")["pages"], 5)
        self.assertIn("goes on with it", self.fsck("-n"))
        self.assertIn("was moving", self.fsck("-a", status=1))
        self.assertEqual(self.dump_json()["superblock"]["phase"], "settled")
        self.assertEqual(self.dump_json("/file")["pages"], 5)
        self.fsck()

    def test_unknown_features(self):
        self.change_superblock("<Q", 24, 1)
        self.fsck("-n")
        self.dump()
        before = self.content()
        for option in ("-a", "-y"):
            self.fsck(option, status=8)
            self.assertIn("must not write", self.errors)
        self.assertEqual(self.content(), before)
        self.change_superblock("<Q", 32, 1)
        self.fsck("-n", status=8)
        self.assertIn("does not know", self.errors)
        self.dump(status=1)

    def change_superblock(self, form, place, value):
        newer = max((0, 1), key=lambda i: struct.unpack("<Q", self.read(i * FRAME + 40))[0])
        superblock = bytearray(self.read(newer * FRAME, 256))
        struct.pack_into(form, superblock, place, value)
        self.seal(superblock, 12)
        self.write(newer * FRAME, superblock)

    def test_either_copy_of_the_superblock(self):
        good = self.content()
        for copy in (0, 1):
            self.write(0, good)
            self.write(copy * FRAME + 100, b"\xff")
            self.assertIn("one of the two copies", self.fsck("-n"))
            self.assertEqual(self.fsck_json()["superblock_copies"], 1)
            self.dump()
            self.assertIn("one of the two copies", self.errors)
            self.assertIn("written anew", self.fsck("-a", status=1))
            self.assertEqual(self.fsck_json()["superblock_copies"], 2)
            self.assertEqual(self.dump_json()["superblock"]["label"], "test")

    def test_no_superblock(self):
        for copy in (0, 1):
            self.flip(copy * FRAME + 100)
        for option in ("-n", "-a", "-y"):
            self.fsck(option, status=12)
            self.assertIn("both copies of the superblock are damaged", self.errors)

    def test_what_is_no_pool(self):
        with open(self.image, "wb") as file:
            file.truncate(1 << 20)
        self.fsck(status=8)
        self.assertIn("nothing but zeros", self.errors)
        self.write(1080, b"\x53\xef")
        self.fsck(status=8)
        self.assertIn("ext2, ext3 or ext4", self.errors)
        self.dump(status=1)

    def test_a_device_that_was_cut(self):
        os.truncate(self.image, 256 * FRAME)
        self.fsck("-y", status=12)
        self.assertIn("give it its size back", self.errors)

    def test_the_log(self):
        """As a power cut in the middle of a rename leaves it."""
        name, inode = self.name_place("/file"), self.inode("/file")
        record = bytearray(128)
        struct.pack_into("<4sIQQQ", record, 0, b"MLOG", 0, 1, name, 0)
        self.seal(record, 4)
        self.write(2 * FRAME + 128, record)
        self.assertEqual(self.dump_json()["log_records"], 1)
        before = self.content()
        self.assertIn("the next mount makes them", self.fsck("-n"))
        self.assertEqual(self.content(), before)
        self.assertIn("the log has in full: 1", self.fsck("-a", status=1))
        self.dump("/file", status=1)
        self.assertEqual(self.dump_json()["log_records"], 0)
        # One that changes what is no name.
        struct.pack_into("<4sIQQQ", record, 0, b"MLOG", 0, 1, inode * FRAME + 80, 0)
        self.seal(record, 4)
        self.write(2 * FRAME + 256, record)
        before = self.content()
        self.assertTrue(self.fsck_json("-n", status=4)["log_damaged"])
        self.assertIn("changes what is no name", self.fsck("-a", status=4))
        self.assertEqual(self.content(), before)
        self.fsck("-y", status=1)
        self.fsck()

    def test_usage(self):
        self.fsck("-a", "-y", status=16)
        self.fsck("-n", "-y", status=16)
        self.fsck("--nonsense", status=16)
        self.run_tool(FSCK, status=16)
        self.image += "-missing"
        self.fsck(status=8)
        self.assertIn("No such file", self.errors)

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_a_file_that_may_not_be_written(self):
        os.chmod(self.image, 0o400)
        self.fsck("-n")
        self.fsck("-y", status=8)
        self.assertIn("Permission denied", self.errors)

    @staticmethod
    def seal(structure, place):
        """Writes the CRC32C of the structure, with this field 0, into it."""
        struct.pack_into("<I", structure, place, 0)
        crc = 0xffffffff
        for byte in structure:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
        struct.pack_into("<I", structure, place, crc ^ 0xffffffff)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
