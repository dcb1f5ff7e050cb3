// SPDX-License-Identifier: MIT
// What a suite tells its runner: one JSON object per line on the descriptor named by KFDLAB_RESULT_FD, and marks in
// the kernel log. Both sides include this header, so neither can drift.
//
//   {"event":"begin","test":"GupPin.X"}
//   {"event":"declare","pattern":"regex","count":N}         a kernel line that this test causes on purpose
//   {"event":"part","kind":"fail|fatal|skip","file":"...","line":N,"message":"..."}
//   {"event":"end","test":"GupPin.X","seconds":S,"counters":{"name":N or "text"}}
//   {"event":"note","message":"..."}                         said once, judged by nobody
//   {"event":"alive"}                                        a long test makes progress: its limit begins anew
//
// Marks are kernel log records "kfdlab-test: begin GupPin.X" and "kfdlab-test: end GupPin.X". A mark is written
// before its event is sent: whoever has read "end" finds every line of that test already in the log.
#pragma once

namespace kfdlab::events {

inline constexpr char kResultFdVariable[] = "KFDLAB_RESULT_FD";
inline constexpr char kSeedVariable[] = "KFDLAB_SEED";          // decimal
inline constexpr char kStressTimeVariable[] = "KFDLAB_TIME";    // seconds
inline constexpr char kStressOperationsVariable[] = "KFDLAB_OPERATIONS";  // end after so many; 0: time only
inline constexpr char kBackendVariable[] = "KFDLAB_BACKEND";    // coherent, private, shared or none
inline constexpr char kAcceleratorVariable[] = "KFDLAB_ACCEL";  // kvm, tcg or hardware
// "warn": provoke a kernel warning inside the first test of the process (a control of the judge).
inline constexpr char kControlVariable[] = "KFDLAB_CONTROL";

inline constexpr char kEventBegin[] = "begin";
inline constexpr char kEventDeclare[] = "declare";
inline constexpr char kEventPart[] = "part";
inline constexpr char kEventEnd[] = "end";
inline constexpr char kEventNote[] = "note";
inline constexpr char kEventAlive[] = "alive";

inline constexpr char kMarkPrefix[] = "kfdlab-test: ";
inline constexpr char kMarkBegin[] = "begin ";
inline constexpr char kMarkEnd[] = "end ";

}  // namespace kfdlab::events
