// A value of each thread that may still be asked for while the program exits: static destructors run after a thread's
// own values ended, and a plain thread_local object would then be used dead. Asked so late, it is made anew and left to
// the exit.
#pragma once

namespace emulator {

template <class T>
T& per_thread() {
  static thread_local T* value = nullptr;
  struct Owner {
    ~Owner() {
      delete value;
      value = nullptr;
    }
  };
  static thread_local Owner owner;
  static_cast<void>(owner);
  if (value == nullptr) value = new T();
  return *value;
}

}  // namespace emulator
