// Triton's best case: a backend in C that answers each request with its first input, as OUTPUT0.
//
// What is then measured is Triton's own: its front end, its scheduler, its statistics. The functions that it calls are
// declared by hand after Triton's backend API (tritonbackend.h of 2.51), whose objects are all opaque.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

typedef struct TRITONSERVER_Error Error;  // null: success
typedef struct TRITONBACKEND_Backend Backend;
typedef struct TRITONBACKEND_Input Input;
typedef struct TRITONBACKEND_ModelInstance Instance;
typedef struct TRITONBACKEND_Output Output;
typedef struct TRITONBACKEND_Request Request;
typedef struct TRITONBACKEND_Response Response;

enum { kMemoryCpu = 0, kErrorUnsupported = 3, kResponseFinal = 1, kRequestReleaseAll = 1 };

Error* TRITONSERVER_ErrorNew(int code, const char* message);
Error* TRITONBACKEND_RequestInputByIndex(Request*, uint32_t index, Input**);
Error* TRITONBACKEND_InputProperties(Input*, const char** name, int* dtype, const int64_t** shape, uint32_t* dims,
                                     uint64_t* bytes, uint32_t* buffers);
Error* TRITONBACKEND_InputBuffer(Input*, uint32_t index, const void**, uint64_t* bytes, int* memory, int64_t* id);
Error* TRITONBACKEND_ResponseNew(Response**, Request*);
Error* TRITONBACKEND_ResponseOutput(Response*, Output**, const char* name, int dtype, const int64_t* shape,
                                    uint32_t dims);
Error* TRITONBACKEND_OutputBuffer(Output*, void**, uint64_t bytes, int* memory, int64_t* id);
Error* TRITONBACKEND_ResponseSend(Response*, uint32_t flags, Error*);
Error* TRITONBACKEND_RequestRelease(Request*, uint32_t flags);
Error* TRITONBACKEND_ModelInstanceReportStatistics(Instance*, Request*, bool success, uint64_t start,
                                                   uint64_t compute_start, uint64_t compute_end, uint64_t end);
Error* TRITONBACKEND_ModelInstanceReportBatchStatistics(Instance*, uint64_t rows, uint64_t start,
                                                        uint64_t compute_start, uint64_t compute_end, uint64_t end);

// Triton looks for these two.
Error* TRITONBACKEND_Initialize(Backend*);
Error* TRITONBACKEND_ModelInstanceExecute(Instance*, Request**, uint32_t count);

static uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Copies an input, which may lie in several buffers, to `target`, which has room for all of it.
static Error* copy_input(Input* input, uint32_t buffers, char* target) {
  for (uint32_t index = 0; index < buffers; ++index) {
    const void* source = NULL;
    uint64_t bytes = 0;
    int memory = kMemoryCpu;
    int64_t id = 0;
    Error* error = TRITONBACKEND_InputBuffer(input, index, &source, &bytes, &memory, &id);
    if (error != NULL) return error;
    if (memory != kMemoryCpu) return TRITONSERVER_ErrorNew(kErrorUnsupported, "the input is not in CPU memory");
    memcpy(target, source, bytes);
    target += bytes;
  }
  return NULL;
}

// Makes the response's only output from the request's first input. *rows is the length of its first axis.
static Error* fill_response(Request* request, Response* response, uint64_t* rows) {
  Input* input = NULL;
  Error* error = TRITONBACKEND_RequestInputByIndex(request, 0, &input);
  if (error != NULL) return error;
  const char* name = NULL;
  int dtype = 0;
  const int64_t* shape = NULL;
  uint32_t dims = 0, buffers = 0;
  uint64_t bytes = 0;
  error = TRITONBACKEND_InputProperties(input, &name, &dtype, &shape, &dims, &bytes, &buffers);
  if (error != NULL) return error;
  *rows = dims > 0 ? (uint64_t)shape[0] : 1;
  Output* output = NULL;
  error = TRITONBACKEND_ResponseOutput(response, &output, "OUTPUT0", dtype, shape, dims);
  if (error != NULL) return error;
  void* target = NULL;
  int memory = kMemoryCpu;
  int64_t id = 0;
  error = TRITONBACKEND_OutputBuffer(output, &target, bytes, &memory, &id);
  if (error != NULL) return error;
  if (memory != kMemoryCpu) return TRITONSERVER_ErrorNew(kErrorUnsupported, "the output is not in CPU memory");
  return copy_input(input, buffers, target);
}

Error* TRITONBACKEND_Initialize(Backend* backend) {
  (void)backend;
  return NULL;
}

// What goes wrong is sent as the answer of its request; then this function owns every request and releases it.
Error* TRITONBACKEND_ModelInstanceExecute(Instance* instance, Request** requests, uint32_t count) {
  const uint64_t start = monotonic_ns();
  uint64_t batch_rows = 0;
  for (uint32_t index = 0; index < count; ++index) {
    Request* request = requests[index];
    Response* response = NULL;
    uint64_t rows = 0;
    bool success = TRITONBACKEND_ResponseNew(&response, request) == NULL;
    if (success) {
      Error* error = fill_response(request, response, &rows);
      success = error == NULL;
      TRITONBACKEND_ResponseSend(response, kResponseFinal, error);
    }
    batch_rows += rows;
    const uint64_t end = monotonic_ns();
    TRITONBACKEND_ModelInstanceReportStatistics(instance, request, success, start, start, end, end);
    TRITONBACKEND_RequestRelease(request, kRequestReleaseAll);
  }
  const uint64_t end = monotonic_ns();
  return TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, batch_rows, start, start, end, end);
}
