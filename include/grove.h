/*
 * Grove: actors on greenlets, typed by protobuf, with worker processes for
 * what eats CPU. This umbrella includes every chapter in reading order.
 */
#ifndef GROVE_H
#define GROVE_H

#include <grove/actor.h>
#include <grove/blocking.h>
#include <grove/call.h>
#include <grove/cancel.h>
#include <grove/deadletter.h>
#include <grove/defer.h>
#include <grove/dns.h>
#include <grove/error.h>
#include <grove/file.h>
#include <grove/group.h>
#include <grove/init.h>
#include <grove/interleave.h>
#include <grove/items.h>
#include <grove/memory.h>
#include <grove/monitor.h>
#include <grove/name.h>
#include <grove/noyield.h>
#include <grove/passivate.h>
#include <grove/poll.h>
#include <grove/pool.h>
#include <grove/process.h>
#include <grove/progress.h>
#include <grove/ref.h>
#include <grove/refmessage.h>
#include <grove/reply.h>
#include <grove/shutdown.h>
#include <grove/signal.h>
#include <grove/sim.h>
#include <grove/stall.h>
#include <grove/stash.h>
#include <grove/stats.h>
#include <grove/stream.h>
#include <grove/supervise.h>
#include <grove/task.h>
#include <grove/timer.h>

#endif
