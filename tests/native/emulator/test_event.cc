#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "emulator/ascendcl.h"
#include "emulator/gate.h"

namespace {

aclrtEvent new_event() {
  aclrtEvent event = nullptr;
  aclrtCreateEvent(&event);
  return event;
}

aclrtEventRecordedStatus status_of(aclrtEvent event) {
  aclrtEventRecordedStatus status{};
  REQUIRE(aclrtQueryEventStatus(event, &status) == ACL_SUCCESS);
  return status;
}

void sleep_a_little(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

void set_one(void* number) { *static_cast<int*>(number) = 1; }

struct Doubling {
  int* number;
  int seen;
};
void see(void* doubling) {
  auto& self = *static_cast<Doubling*>(doubling);
  self.seen = *self.number;
}

}  // namespace

TEST_CASE("an event orders two streams: the waiting one sees what the recording one did before") {
  const test::Device device;
  const aclrtStream producer = test::new_stream();
  const aclrtStream consumer = test::new_stream();
  const aclrtEvent event = new_event();
  int number = 0;
  Doubling consumed{&number, -1};
  test::Gate gate(producer);
  aclrtLaunchHostFunc(producer, set_one, &number);
  REQUIRE(aclrtRecordEvent(event, producer) == ACL_SUCCESS);
  REQUIRE(aclrtStreamWaitEvent(consumer, event) == ACL_SUCCESS);
  aclrtLaunchHostFunc(consumer, see, &consumed);
  CHECK(aclrtSynchronizeStreamWithTimeout(consumer, 10) == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  gate.open();
  CHECK(aclrtSynchronizeStream(consumer) == ACL_SUCCESS);
  CHECK(consumed.seen == 1);
  aclGetRecentErrMsg();
}

TEST_CASE("an event is complete when its stream came to it, not before") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  const aclrtEvent event = new_event();
  test::Gate gate(stream);
  aclrtRecordEvent(event, stream);
  CHECK(status_of(event) == ACL_EVENT_RECORDED_STATUS_NOT_READY);
  aclrtEventStatus old_status{};
  CHECK(aclrtQueryEvent(event, &old_status) == ACL_SUCCESS);
  CHECK(old_status == ACL_EVENT_STATUS_NOT_READY);
  CHECK(aclrtSynchronizeEventWithTimeout(event, 10) == ACL_ERROR_RT_EVENT_SYNC_TIMEOUT);
  gate.open();
  CHECK(aclrtSynchronizeEvent(event) == ACL_SUCCESS);
  CHECK(status_of(event) == ACL_EVENT_RECORDED_STATUS_COMPLETE);
  CHECK(aclrtQueryEvent(event, &old_status) == ACL_SUCCESS);
  CHECK(old_status == ACL_EVENT_STATUS_COMPLETE);
  aclGetRecentErrMsg();
}

TEST_CASE("an event never recorded is synchronized at once") {
  const test::Device device;
  aclrtEvent extended = nullptr;
  CHECK(aclrtSynchronizeEvent(new_event()) == ACL_SUCCESS);
  REQUIRE(aclrtCreateEventExWithFlag(&extended, ACL_EVENT_SYNC) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeEvent(extended) == ACL_SUCCESS);
  CHECK(status_of(extended) == ACL_EVENT_RECORDED_STATUS_COMPLETE);
}

TEST_CASE("recording again moves the event; who waits for the first record is not held by the second") {
  const test::Device device;
  const aclrtStream producer = test::new_stream();
  const aclrtStream consumer = test::new_stream();
  const aclrtEvent event = new_event();
  aclrtRecordEvent(event, producer);
  aclrtStreamWaitEvent(consumer, event);
  test::Gate gate(producer);
  aclrtRecordEvent(event, producer);
  CHECK(aclrtSynchronizeStream(consumer) == ACL_SUCCESS);
  CHECK(status_of(event) == ACL_EVENT_RECORDED_STATUS_NOT_READY);
  gate.open();
  aclrtSynchronizeStream(producer);
}

TEST_CASE("the elapsed time between two events is that of the work between them") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  const aclrtEvent start = new_event();
  const aclrtEvent end = new_event();
  float milliseconds = -1;
  CHECK(aclrtEventElapsedTime(&milliseconds, start, end) == ACL_ERROR_RT_INTERNAL_ERROR);  // never recorded
  aclrtRecordEvent(start, stream);
  aclrtLaunchHostFunc(stream, sleep_a_little, nullptr);
  aclrtRecordEvent(end, stream);
  CHECK(aclrtEventElapsedTime(&milliseconds, start, end) == ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID);
  aclrtSynchronizeStream(stream);
  CHECK(aclrtEventElapsedTime(&milliseconds, start, end) == ACL_SUCCESS);
  CHECK(milliseconds >= 20.0F);
  CHECK(aclrtEventElapsedTime(&milliseconds, end, start) == ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL);
  const aclrtEvent elsewhere = new_event();
  aclrtRecordEvent(elsewhere, nullptr);
  aclrtSynchronizeStream(nullptr);
  CHECK(aclrtEventElapsedTime(&milliseconds, start, elsewhere) == ACL_ERROR_RT_PARAM_INVALID);
  uint64_t first_us = 0;
  uint64_t last_us = 0;
  CHECK(aclrtEventGetTimestamp(start, &first_us) == ACL_SUCCESS);
  CHECK(aclrtEventGetTimestamp(end, &last_us) == ACL_SUCCESS);
  CHECK(last_us - first_us >= 20000);
  aclGetRecentErrMsg();
}

TEST_CASE("flags say what an event is for: waiting needs SYNC, timing needs TIME_LINE") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  aclrtEvent timed = nullptr;
  aclrtEvent waitable = nullptr;
  float milliseconds = 0;
  REQUIRE(aclrtCreateEventWithFlag(&timed, ACL_EVENT_TIME_LINE) == ACL_SUCCESS);
  REQUIRE(aclrtCreateEventWithFlag(&waitable, ACL_EVENT_SYNC) == ACL_SUCCESS);
  CHECK(aclrtCreateEventWithFlag(&timed, 0x40) == ACL_ERROR_RT_PARAM_INVALID);
  aclrtRecordEvent(timed, stream);
  aclrtRecordEvent(waitable, stream);
  aclrtSynchronizeStream(stream);
  CHECK(aclrtStreamWaitEvent(stream, timed) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtStreamWaitEvent(stream, waitable) == ACL_SUCCESS);
  CHECK(aclrtEventElapsedTime(&milliseconds, timed, waitable) == ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID);
  CHECK(aclrtEventElapsedTime(&milliseconds, timed, timed) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("waiting for a SYNC event that was never recorded is reported, for the device would wait for ever") {
  const test::Device device;
  aclrtEvent event = nullptr;
  REQUIRE(aclrtCreateEventWithFlag(&event, ACL_EVENT_SYNC) == ACL_SUCCESS);
  CHECK(aclrtStreamWaitEvent(nullptr, event) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(test::recent_text().find("never recorded") != std::string::npos);
  CHECK(aclrtStreamWaitEvent(nullptr, new_event()) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(nullptr) == ACL_SUCCESS);
}

TEST_CASE("a reset forgets the record, in the stream's order, and is for SYNC events with flag only") {
  const test::Device device;
  aclrtEvent event = nullptr;
  REQUIRE(aclrtCreateEventWithFlag(&event, ACL_EVENT_SYNC) == ACL_SUCCESS);
  aclrtRecordEvent(event, nullptr);
  CHECK(aclrtResetEvent(event, nullptr) == ACL_SUCCESS);
  aclrtSynchronizeStream(nullptr);
  CHECK(status_of(event) == ACL_EVENT_RECORDED_STATUS_NOT_READY);
  CHECK(aclrtResetEvent(new_event(), nullptr) == ACL_ERROR_RT_PARAM_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("a stream that waits for an event no longer than its timeout reports 107019") {
  const test::Device device;
  const aclrtStream producer = test::new_stream();
  const aclrtStream consumer = test::new_stream();
  const aclrtEvent event = new_event();
  test::Gate gate(producer);
  aclrtRecordEvent(event, producer);
  CHECK(aclrtStreamWaitEventWithTimeout(consumer, event, 1) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(consumer) == ACL_ERROR_RT_WAIT_TIMEOUT);
  CHECK(test::recent_text().find("aclrtStreamWaitEventWithTimeout") != std::string::npos);
  gate.open();
  CHECK(aclrtSynchronizeStream(producer) == ACL_SUCCESS);
}

TEST_CASE("an event may be destroyed before it completes, and is then refused") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  const aclrtEvent event = new_event();
  test::Gate gate(stream);
  aclrtRecordEvent(event, stream);
  CHECK(aclrtDestroyEvent(event) == ACL_SUCCESS);
  CHECK(aclrtRecordEvent(event, stream) == ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(aclrtDestroyEvent(event) == ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(aclrtDestroyEvent(nullptr) == ACL_ERROR_INVALID_PARAM);
  gate.open();
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("an event whose record was dropped by an abort does not hang its waiter") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  const aclrtEvent event = new_event();
  test::Gate gate(stream);
  aclrtRecordEvent(event, stream);
  aclrtStreamAbort(stream);
  CHECK(aclrtSynchronizeEvent(event) == ACL_ERROR_RT_STREAM_ABORT);
  gate.open();
  aclrtSynchronizeStream(stream);
  aclGetRecentErrMsg();
}

TEST_CASE("a stream that waits for an event can be aborted") {
  const test::Device device;
  const aclrtStream producer = test::new_stream();
  const aclrtStream consumer = test::new_stream();
  const aclrtEvent event = new_event();
  test::Gate gate(producer);
  aclrtRecordEvent(event, producer);
  aclrtStreamWaitEvent(consumer, event);
  CHECK(aclrtStreamAbort(consumer) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(consumer) == ACL_SUCCESS);
  gate.open();
  aclrtSynchronizeStream(producer);
}
