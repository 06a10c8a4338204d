// AscendCL as loaded from shared libraries. CANN ships it as libascendcl.so, and since 8.5 also as libacl_rt.so with
// libacl_mdl.so; the emulator is a libascendcl.so too.
//
// Threads: open() from any; a Library is constant afterwards.
// Ownership: the libraries are never unmapped: the vendor's own threads may outlive the last call into them.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace npuserve::acl {

struct FunctionTable;

class Library {
 public:
  // The first candidate whose files all load and which has every required function. A candidate is the files that
  // together are one AscendCL: paths, or names for the loader to search. Throws LibraryError.
  static std::shared_ptr<const Library> open(const std::vector<std::vector<std::string>>& candidates);

  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  [[nodiscard]] const FunctionTable& functions() const noexcept { return *functions_; }
  // Where the files were found, in the candidate's order.
  [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; }

 private:
  explicit Library(const std::vector<std::string>& candidate);

  std::unique_ptr<FunctionTable> functions_;
  std::vector<std::string> files_;
};

}  // namespace npuserve::acl
