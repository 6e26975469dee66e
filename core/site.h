/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Every place in core that writes a cache line back to the medium, or waits for that. The simulator
// switches them off one by one, and something must break each time, else the place is useless.
#pragma once

namespace morsel::core {

enum class Site : unsigned char {
  // tree.h
  root_table,         ///< flush: the first entry of a new root
  root_ready,         ///< fence: a new root, before the word that leads to it
  root,               ///< flush: that word
  table_ready,        ///< fence: a new table, before the entry that leads to it
  table_linked,       ///< flush: that entry
  leaf_ready,         ///< fence: a frame's contents, before the leaf
  leaf_rw,            ///< flush: the leaf in the writable twin
  leaf_ro,            ///< flush: and in the read-only one
  leaf_installed,     ///< fence: both
  leaves_cleared,     ///< flush: leaves that were removed
  leaves_removed,     ///< fence: all of them, before their frames can be given to others
  entry_replaced,     ///< flush: an entry that led to a table
  table_unlinked,     ///< fence: before the table's frame can be given to others
  persisted_root,     ///< flush: of what another CPU has written
  persisted_entries,  ///< flush
  persisted,          ///< fence

  // pool/tree_host.h
  table_zeroed,  ///< flush: a new table

  // pool/superblock.h
  superblock,          ///< flush: one copy
  superblock_written,  ///< fence

  // pool/log.h
  log_ready,    ///< fence: what the changes lead to, before the record
  log_record,   ///< flush: the record
  log_written,  ///< fence: the record, before the first change
  log_change,   ///< flush: a change
  log_applied,  ///< fence: all changes, before the record goes
  log_cleared,  ///< flush: the record's first word
  log_done,     ///< fence: before its slot or what it changed is used again

  // pool/attributes.h
  attributes,          ///< flush: one slot
  attributes_written,  ///< fence

  // pool/inode.h
  inode,           ///< flush: a new inode
  payload,         ///< flush: a frame with a link's target or attributes
  payload_ready,   ///< fence: before the word that leads to it
  payload_linked,  ///< flush: that word
  payload_done,    ///< fence: before the old frame can be given to others

  // pool/names.h
  names_frame,     ///< flush: a new frame of names
  names_ready,     ///< fence: before the word that leads to it
  names_linked,    ///< flush: that word
  name,            ///< flush: a name that leads nowhere yet
  name_ready,      ///< fence: name and inode, before the word that leads to it
  name_target,     ///< flush: that word
  name_published,  ///< fence

  // pool/file.h
  data,        ///< flush: a frame's contents
  data_range,  ///< flush: bytes of a frame that is in use
  data_done,   ///< fence

  // pool/check.h
  entry_mended,  ///< flush: an entry that was cleared or rewritten
  name_mended,   ///< flush: a name that was cleared
  mended,        ///< fence: all of that

  // pool/make.h
  make_void,   ///< flush: no superblock
  make_begun,  ///< fence
  make_log,    ///< flush: the empty log
  make_ready,  ///< fence: log and root directory, before the superblock

  count,
};

}  // namespace morsel::core
