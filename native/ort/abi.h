// The part of ONNX Runtime's C ABI that this project uses, in our own words. Types are opaque; functions are entries of
// one table (functions.def), whose order never changes: later versions append to it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace npuserve::ort {

struct OrtEnv;
struct OrtStatus;
struct OrtMemoryInfo;
struct OrtSession;
struct OrtValue;
struct OrtRunOptions;
struct OrtTensorTypeAndShapeInfo;
struct OrtSessionOptions;

// What `OrtGetApiBase` returns.
struct OrtApiBase {
  const void* (*get_api)(uint32_t version) noexcept;  // null for a version that the library does not know
  const char* (*get_version_string)() noexcept;
};

inline constexpr char kGetApiBase[] = "OrtGetApiBase";
// Of the oldest release that the package supports.
inline constexpr uint32_t kApiVersion = 20;

// ONNXTensorElementDataType
inline constexpr int kFloat = 1;
inline constexpr int kUint8 = 2;
inline constexpr int kInt8 = 3;
inline constexpr int kUint16 = 4;
inline constexpr int kInt16 = 5;
inline constexpr int kInt32 = 6;
inline constexpr int kInt64 = 7;
inline constexpr int kBool = 9;
inline constexpr int kFloat16 = 10;
inline constexpr int kDouble = 11;
inline constexpr int kUint32 = 12;
inline constexpr int kUint64 = 13;
inline constexpr int kBfloat16 = 16;

inline constexpr int kLogWarning = 2;       // OrtLoggingLevel
inline constexpr int kLogFatal = 4;         // OrtLoggingLevel
inline constexpr int kDeviceAllocator = 0;  // OrtAllocatorType
inline constexpr int kMemoryDefault = 0;    // OrtMemType

}  // namespace npuserve::ort
