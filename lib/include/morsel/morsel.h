/* SPDX-License-Identifier: MIT */
/*
 * libmorsel: large memory objects that processes share, mapped in constant time where the machine
 * can.
 *
 * The stable C interface; morsel.hpp wraps it for C++20. A *morsel* is an object: so many bytes of
 * memory with an optional name. A *mapping* is the object in this process's address space. What an
 * object is made of is its *backend*:
 *
 *   morselfs  a file on a mount of morselfs: mapping it is writing a few page-table entries
 *   hugetlb   2-MiB pages of a stock kernel; processes share the page tables while one of them (or
 *             the holder process) keeps it mapped
 *   memfd     anonymous shared memory: always there, mapped page by page
 *
 * Conventions. Functions return 0 or a negative errno; `error`, where it is not NULL, then holds
 * the same number and a sentence that says what went wrong, where, why, and what to do. Nothing
 * changes on failure. Sizes and offsets are bytes. Different objects and mappings may be used by
 * different threads at the same time; one object or mapping by one thread at a time, unless a
 * function says otherwise. All descriptors are close-on-exec. Structures begin with their size, so
 * that a program that was built against an older header keeps working: set it to sizeof.
 */
#ifndef MORSEL_H
#define MORSEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A caller may pass any number, which in C++ only an enumeration with a base can hold. */
#ifdef __cplusplus
#define MORSEL_ENUM_BASE : unsigned int
#else
#define MORSEL_ENUM_BASE
#endif

#if defined(__GNUC__)
#define MORSEL_API __attribute__((visibility("default")))
#else
#define MORSEL_API
#endif

typedef struct morsel_object morsel_object;
typedef struct morsel_mapping morsel_mapping;

struct morsel_error {
  int code;       /* a negative errno, or 0 */
  char text[508]; /* one sentence, no newline; terminated by 0 */
};

enum morsel_backend MORSEL_ENUM_BASE {
  MORSEL_ANY = 0, /* the best one that works here: in the order below */
  MORSEL_MORSELFS = 1,
  MORSEL_HUGETLB = 2,
  MORSEL_MEMFD = 3,
};

enum morsel_access MORSEL_ENUM_BASE {
  MORSEL_READ = 1,
  MORSEL_READ_WRITE = 3,
};

/* "morselfs", "hugetlb", "memfd"; "any" for MORSEL_ANY; NULL for no backend. */
MORSEL_API const char* morsel_backend_name(enum morsel_backend backend);
/* The backend of that name; -EINVAL for no such one. */
MORSEL_API int morsel_backend_parse(const char* name, struct morsel_error* error);
/*
 * 0 if an object of `bytes` can be made with this backend here and now; else why not, in `error`.
 * Other processes can take the memory meanwhile: only morsel_create() is sure.
 */
MORSEL_API int morsel_backend_probe(enum morsel_backend backend, uint64_t bytes,
                                    struct morsel_error* error);
/* The library's, as "1.0.0". */
MORSEL_API const char* morsel_version(void);

/* --- objects -------------------------------------------------------------------------------- */

struct morsel_options {
  size_t struct_size;
  /* The backend that is asked for; with MORSEL_ANY see morsel_fallback(). */
  enum morsel_backend backend;
  /* NULL: unnamed, gone with its last descriptor and mapping. Else 1 to 200 bytes, no '/', no
   * leading '.'. */
  const char* name;
  /* Permission bits of a named object, as of a file; 0 means 0600. */
  unsigned mode;
  /* morselfs: the mount, or a directory on one; NULL: the first that may be written to. */
  const char* directory;
};

/*
 * Makes an object of `bytes` (at least 1), all zero. All its memory is there when this returns: no
 * SIGBUS later for want of it. It may become larger: hugetlb rounds up to 2 MiB, and morsel_bytes()
 * says so. -ENOSPC, -ENOMEM: not enough; -EEXIST: the name is taken; -EOPNOTSUPP: this machine
 * can't do the backend that was asked for. `options` may be NULL.
 */
MORSEL_API int morsel_create(uint64_t bytes, const struct morsel_options* options,
                             morsel_object** object, struct morsel_error* error);
/*
 * The named object, for reading or for both. -ENOENT: there is none; -EACCES: not for this user;
 * -EPERM: it is sealed and MORSEL_READ_WRITE was asked for. Looks among the objects of this user
 * first, then among those of the system.
 */
MORSEL_API int morsel_open(const char* name, enum morsel_access access, morsel_object** object,
                           struct morsel_error* error);
/*
 * An object from a descriptor of one, which is duplicated: a file on morselfs, on hugetlbfs (of
 * 2-MiB pages) or on tmpfs; memfds are of the latter two. It has the descriptor's rights. -EINVAL:
 * it is none of these, or empty, or not open for reading.
 */
MORSEL_API int morsel_from_fd(int fd, morsel_object** object, struct morsel_error* error);
/* Takes the name away; the object lives until nobody has it open or mapped. */
MORSEL_API int morsel_remove(const char* name, struct morsel_error* error);
/* Drops this handle; NULL is allowed. Mappings stay. */
MORSEL_API void morsel_close(morsel_object* object);

/*
 * From now on nobody can change the contents or the size, for ever. -EBUSY: somebody has it mapped
 * for writing, or a device or the kernel still writes to it. -EPERM: it is sealed already, or a
 * tmpfs file and no memfd; -EACCES: this handle is for reading. This handle can only read from now
 * on.
 */
MORSEL_API int morsel_seal(morsel_object* object, struct morsel_error* error);
/* 1 or 0. */
MORSEL_API int morsel_is_sealed(const morsel_object* object);
/*
 * Grows (with zeros) or cuts. Mappings keep their length: what lies behind the new end's page gives
 * SIGBUS, what was added must be mapped anew. -ENOSPC, -ENOMEM: it has the old size. -EPERM: sealed
 * or open for reading only.
 */
MORSEL_API int morsel_resize(morsel_object* object, uint64_t bytes, struct morsel_error* error);

/*
 * A part of the object (`bytes` 0: all from `offset` up to its end; whole pages of 4 KiB) as a
 * dma-buf, by which drivers of devices get at its memory: a GPU's, a NIC's (docs/devices.md).
 * MORSEL_READ: devices only read it. *fd is the caller's, and closed on exec; it keeps the object
 * as it is, handle or not. To export the same part again costs nothing that grows with it, whatever
 * process does it. -EACCES, -EPERM: MORSEL_READ_WRITE of an object that is open for reading, or
 * sealed; -EINVAL: no such part; -EOPNOTSUPP: its backend has no dma-bufs, or it is on a pool and
 * was not asked for with MORSEL_READ; -ENOSPC: a hole could not be filled.
 */
MORSEL_API int morsel_export(const morsel_object* object, uint64_t offset, uint64_t bytes,
                             enum morsel_access access, int* fd, struct morsel_error* error);

MORSEL_API uint64_t morsel_bytes(const morsel_object* object);
MORSEL_API enum morsel_backend morsel_backend_of(const morsel_object* object);
/* The object's own descriptor: don't close it. */
MORSEL_API int morsel_fd(const morsel_object* object);
/*
 * Why this object's backend is not a better one, e.g. "morselfs: no mount; hugetlb: no free 2-MiB
 * pages"; "" if it is the best one, or was asked for by name. Lives as long as the handle.
 */
MORSEL_API const char* morsel_fallback(const morsel_object* object);

struct morsel_statistics {
  size_t struct_size;
  uint64_t bytes;       /* the size */
  uint64_t resident;    /* bytes of memory, without page tables, with `waste` */
  uint64_t huge;        /* of these, in 2-MiB pages or leaves; memfd: 0, the kernel doesn't tell */
  uint64_t table_bytes; /* page tables of the object (morselfs), else 0 */
  uint64_t mappings;    /* morselfs: mappings of it in all processes, else 0 */
  /* morselfs, else 0: */
  uint64_t promoted;       /* 2-MiB slots that were moved into one large leaf */
  uint64_t demoted;        /* large leaves that were moved into 4-KiB ones */
  uint64_t promote_failed; /* slots that could not be moved */
  uint64_t waste;          /* bytes of 2-MiB frames that the object has no use for any more */
  unsigned huge_policy;    /* enum morsel_huge */
  unsigned reserved;
};
MORSEL_API int morsel_stat(const morsel_object* object, struct morsel_statistics* statistics,
                           struct morsel_error* error);

/* --- large pages ------------------------------------------------------------------------------ */

/* Where an object on morselfs gets 2-MiB leaves from now on; of mounts: docs/operations.md. */
enum morsel_huge MORSEL_ENUM_BASE {
  MORSEL_HUGE_MOUNT = 0,       /* as the mount's huge= says */
  MORSEL_HUGE_NEVER = 1,       /* nowhere */
  MORSEL_HUGE_WITHIN_SIZE = 2, /* for what one call fills, and later for what is full */
  MORSEL_HUGE_ALWAYS = 3,      /* at the first touch of a slot below the end */
};
/* "mount", "never", "within_size", "always"; NULL for no policy. */
MORSEL_API const char* morsel_huge_name(enum morsel_huge policy);
/* The policy of that name; -EINVAL for no such one. */
MORSEL_API int morsel_huge_parse(const char* name, struct morsel_error* error);
/*
 * Gives the object a policy of its own, sealed or not. -EPERM: the object is somebody else's;
 * -EOPNOTSUPP: its backend has one size of pages, or leaves the choice to the kernel.
 */
MORSEL_API int morsel_set_huge(const morsel_object* object, enum morsel_huge policy,
                               struct morsel_error* error);

struct morsel_moved {
  size_t struct_size;
  uint64_t done;    /* bytes that were moved by this call */
  uint64_t busy;    /* left alone: a device, the kernel or a reader holds pages */
  uint64_t lacking; /* left alone: there was no memory of that size */
};
/*
 * Moves the full 2-MiB slots of a part of the object (`bytes` 0: all up to its end) into 2-MiB
 * leaves, and large leaves back into 4-KiB ones, whatever the policy says. Mappings stay as they
 * are. That not all could be moved is no error: `moved`, which may be NULL, says what became of it.
 * -EPERM: this handle is for reading, and the object somebody else's; -EOPNOTSUPP as above.
 */
MORSEL_API int morsel_promote(const morsel_object* object, uint64_t offset, uint64_t bytes,
                              struct morsel_moved* moved, struct morsel_error* error);
MORSEL_API int morsel_demote(const morsel_object* object, uint64_t offset, uint64_t bytes,
                             struct morsel_moved* moved, struct morsel_error* error);

/* --- mappings ------------------------------------------------------------------------------- */

/*
 * Maps the whole object, MAP_SHARED, at an address that is aligned as the backend wants it (whole
 * slots), so that it takes as few entries as possible. -EACCES: MORSEL_READ_WRITE of an object that
 * is open for reading; -EPERM: of one that is sealed. The mapping outlives the handle, and counts
 * as a use of the object (morsel_in_use()).
 */
MORSEL_API int morsel_map(const morsel_object* object, enum morsel_access access,
                          morsel_mapping** mapping, struct morsel_error* error);
MORSEL_API void* morsel_address(const morsel_mapping* mapping);
/* The object's size when it was mapped. */
MORSEL_API uint64_t morsel_mapped_bytes(const morsel_mapping* mapping);
/*
 * Touches what has to be touched once so that no later access faults (morselfs, shared hugetlb
 * tables: once per GiB at most; else once per page). Not needed; for who wants the cost now.
 */
MORSEL_API void morsel_touch(const morsel_mapping* mapping);
/* NULL is allowed. */
MORSEL_API void morsel_unmap(morsel_mapping* mapping);
/*
 * 1 if the object is mapped by morsel_map() anywhere on this machine, by this process too (on
 * morselfs: mapped by anybody, in whatever way), 0 if not. -EACCES: its mode forbids to look.
 */
MORSEL_API int morsel_in_use(const morsel_object* object, struct morsel_error* error);

/* --- between processes ------------------------------------------------------------------------ */

/*
 * Sends the object over a connected Unix socket (stream or seqpacket), for MORSEL_READ or with all
 * rights that this handle has. The receiver's rights are its own descriptor's; but a process of the
 * same user can open the file behind it anew, and only a seal is for ever. -EPIPE: nobody is there
 * any more.
 */
MORSEL_API int morsel_send(const morsel_object* object, int socket, enum morsel_access access,
                           struct morsel_error* error);
/*
 * -EPIPE: the other end is closed; -EBADMSG: what came is no morsel (it was taken off the socket,
 * and its descriptors are closed); -EAGAIN on a non-blocking socket. Unless the object is sealed
 * (morsel_is_sealed()), the sender can still change it, and cut it: then accesses behind the new
 * end give SIGBUS. Who does not trust the sender takes sealed objects only.
 */
MORSEL_API int morsel_receive(int socket, morsel_object** object, struct morsel_error* error);

/* --- contents --------------------------------------------------------------------------------- */

/* Called now and then from the calling thread; a value other than 0 ends the work with -ECANCELED.
 */
typedef int (*morsel_progress)(uint64_t done, uint64_t total, void* context);

/*
 * Copies `bytes` from `source` at `offset` to the start of the object, with several threads.
 * -ENODATA: the source ended early; -ESTALE: it was changed meanwhile; -EIO and the like: reading
 * failed (the sentence says where). After a failure the object has part of the contents.
 */
MORSEL_API int morsel_populate(morsel_object* object, int source, uint64_t offset, uint64_t bytes,
                               morsel_progress progress, void* context, struct morsel_error* error);

/* --- channels ----------------------------------------------------------------------------------
 */

/*
 * Bounded queues of packets between processes, for any number of senders and receivers; several for
 * a pipeline, whose packets go from one queue to the next where they are. A packet is written and
 * read in place: small ones in cells that all members have mapped, larger ones in objects that are
 * used again and again. Its owner is the only one who may touch it: whoever made it, until it is
 * sent; then whoever receives it.
 *
 * Members trust each other. One that dies loses what it owned, and nothing else: what it had sent
 * will be received, its buffers are used again, and nobody waits for it for more than moments.
 *
 * All functions may be called by several threads at once, for one packet by one thread at a time.
 * After fork(), the child is a member of its own, with the same roles; packets that the parent
 * owned are the parent's.
 */
typedef struct morsel_channel morsel_channel;

enum morsel_role MORSEL_ENUM_BASE {
  MORSEL_NEITHER = 0,
  MORSEL_SENDER = 1,
  MORSEL_RECEIVER = 2,
  MORSEL_BOTH = 3,
};

enum morsel_channel_flags MORSEL_ENUM_BASE {
  /* A new packet may hold what an earlier one left there; without this it is all zero. Whoever
   * joins has to say so, too. */
  MORSEL_OLD_DATA = 1,
};

struct morsel_channel_options {
  size_t struct_size;
  enum morsel_backend backend; /* of packets that fit into no cell */
  const char* directory;       /* as in morsel_options */
  unsigned flags;              /* enum morsel_channel_flags */
  unsigned queues;             /* 1 to 8; 0: 1 */
  unsigned waiting;            /* packets in each queue at most: 1 to 1024; 0: 64 */
  unsigned objects;            /* large packets at once, waiting and in use: 1 to 64; 0: 16 */
  uint64_t cell_bytes;         /* larger packets are objects: up to 1 MiB; 0: 64 KiB */
};

struct morsel_packet {
  void* data;        /* whole slots of an object; of a cell 64-byte aligned */
  uint64_t bytes;    /* of it, that count; the sender may change it until it sends, up to: */
  uint64_t capacity; /* what may be written to */
  /* The library's own. */
  uint32_t buffer, access, turn;
  uint32_t reserved[5];
};

/* The caller is the first member, with both roles in all queues. `options` may be NULL. */
MORSEL_API int morsel_channel_create(const struct morsel_channel_options* options,
                                     morsel_channel** channel, struct morsel_error* error);
/* Asks the process at the other end of a connected Unix socket to join; it calls the next one. */
MORSEL_API int morsel_channel_invite(morsel_channel* channel, int socket,
                                     struct morsel_error* error);
/*
 * With that role in all queues; who has several roles joins with MORSEL_NEITHER and sets them then.
 * Only what processes send that one trusts should be joined. -EPERM: the channel has
 * MORSEL_OLD_DATA, and `flags` has not; -EUSERS: it has 64 members; -EBADMSG: what came is no
 * invitation; -EPIPE: the other end is closed.
 */
MORSEL_API int morsel_channel_join(int socket, enum morsel_role role, unsigned flags,
                                   morsel_channel** channel, struct morsel_error* error);
/*
 * From now on this process only sends to the queue, only receives from it, both, or neither. When
 * all of the other role are gone, waiting ends with -EPIPE; who has not said what it is counts as
 * both. So set the roles before you fork; a child has the same ones
 * until it sets others.
 */
MORSEL_API int morsel_channel_set_role(morsel_channel* channel, unsigned queue,
                                       enum morsel_role role, struct morsel_error* error);
/* Leaves. Packets that this process owns are nobody's. NULL is allowed. */
MORSEL_API void morsel_channel_close(morsel_channel* channel);
/* What large packets are made of; and, for who made the channel, why it is no better one: as
 * morsel_fallback(). */
MORSEL_API enum morsel_backend morsel_channel_backend(const morsel_channel* channel);
MORSEL_API const char* morsel_channel_fallback(const morsel_channel* channel);
/*
 * 1: after morsel_packet_send() an access to the packet's old address faults, at constant cost
 * (morselfs). 0: the machine can't do that, and the old address shows what the next owner writes.
 * Cells are never taken away.
 */
MORSEL_API int morsel_channel_enforces(const morsel_channel* channel);
/*
 * A descriptor for poll(), epoll and the like: readable (POLLIN) while a packet waits
 * (MORSEL_RECEIVER) or while there is room in the queue (MORSEL_SENDER). Don't read it or close it.
 * Asking for it makes each change of that state a system call. That a member has died shows only
 * when another one waits or tries: so poll with a time limit, and try then.
 */
MORSEL_API int morsel_channel_pollable(morsel_channel* channel, unsigned queue,
                                       enum morsel_role role, struct morsel_error* error);

/*
 * Time limits are milliseconds; 0: don't wait (-EAGAIN), negative: as long as it takes; -ETIMEDOUT.
 * -EACCES: not this process's role; -EPIPE: nobody of the other role is left.
 */

/*
 * A packet to be written: all zero, unless the channel has MORSEL_OLD_DATA. `bytes` may be 0 if
 * nobody knows yet: morsel_packet_reserve() gives more.
 */
MORSEL_API int morsel_packet_new(morsel_channel* channel, uint64_t bytes, int timeout,
                                 struct morsel_packet* packet, struct morsel_error* error);
/* Room for `bytes`. The packet may move: `data` changes then, the contents come along. */
MORSEL_API int morsel_packet_reserve(morsel_channel* channel, struct morsel_packet* packet,
                                     uint64_t bytes, struct morsel_error* error);
/* Hands it over: `data` is NULL then. On failure it is still the caller's. */
MORSEL_API int morsel_packet_send(morsel_channel* channel, unsigned queue,
                                  struct morsel_packet* packet, int timeout,
                                  struct morsel_error* error);
/* The oldest packet, to be read, or to be written to and sent on. */
MORSEL_API int morsel_packet_receive(morsel_channel* channel, unsigned queue,
                                     enum morsel_access access, int timeout,
                                     struct morsel_packet* packet, struct morsel_error* error);
/* Gives up a packet that one owns. */
MORSEL_API void morsel_packet_release(morsel_channel* channel, struct morsel_packet* packet);

#ifdef __cplusplus
}
#endif
#endif
