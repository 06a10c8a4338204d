#include "acl/library.h"

#include <dlfcn.h>
#include <link.h>

#include <cstddef>
#include <utility>

#include "acl/errors.h"
#include "acl/functions.h"

namespace npuserve::acl {
namespace {

// A loaded library, or with a null file the program itself.
class SharedObject {
 public:
  // RTLD_NODELETE: closing gives the handle back and unmaps nothing.
  explicit SharedObject(const char* file) : handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) {
    if (handle_ == nullptr) throw LibraryError(dlerror());
  }
  ~SharedObject() {
    if (handle_ != nullptr) dlclose(handle_);
  }
  SharedObject(SharedObject&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  // Searches the libraries that this one needs, too. Null if there is none.
  [[nodiscard]] void* symbol(const char* name) const { return dlsym(handle_, name); }

  [[nodiscard]] std::string path() const {
    const link_map* map = nullptr;
    if (dlinfo(handle_, RTLD_DI_LINKMAP, static_cast<void*>(&map)) != 0) throw LibraryError(dlerror());
    return map->l_name;
  }

  // Where the loader searches for a file name without a slash: LD_LIBRARY_PATH's folders, then the system's.
  [[nodiscard]] std::vector<std::string> search_folders() const {
    Dl_serinfo size{};
    if (dlinfo(handle_, RTLD_DI_SERINFOSIZE, &size) != 0) return {};
    std::vector<std::byte> storage(size.dls_size);
    auto* const found = reinterpret_cast<Dl_serinfo*>(storage.data());
    if (dlinfo(handle_, RTLD_DI_SERINFOSIZE, found) != 0 || dlinfo(handle_, RTLD_DI_SERINFO, found) != 0) return {};
    std::vector<std::string> folders;
    folders.reserve(found->dls_cnt);
    for (unsigned int i = 0; i < found->dls_cnt; ++i) folders.emplace_back(found->dls_serpath[i].dls_name);
    return folders;
  }

 private:
  void* handle_;
};

// Finds each function in the first object that has it.
class Resolver {
 public:
  explicit Resolver(const std::vector<SharedObject>& objects) : objects_(objects) {}

  template <class Signature>
  void required(Function<Signature>& function) {
    optional(function);
    if (!function) missing_.emplace_back(function.name);
  }

  template <class Signature>
  void optional(Function<Signature>& function) {
    for (const SharedObject& object : objects_) {
      function.address = reinterpret_cast<Signature*>(object.symbol(function.name));
      if (function) return;
    }
  }

  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }

 private:
  const std::vector<SharedObject>& objects_;
  std::vector<std::string> missing_;
};

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : separator).append(word);
  return text;
}

// Throws LibraryError, which names the missing functions.
void resolve(const std::vector<SharedObject>& objects, const std::vector<std::string>& files, FunctionTable& table) {
  Resolver resolver(objects);
#define ACL_REQUIRED(ret, name, params) resolver.required(table.name);
#define ACL_OPTIONAL(ret, name, params) resolver.optional(table.name);
#define ACL_EMULATED(ret, name, params)
#include "acl/functions.def"
#undef ACL_REQUIRED
#undef ACL_OPTIONAL
#undef ACL_EMULATED
  if (!resolver.missing().empty()) {
    throw LibraryError(joined(files, " + ") + ": missing symbol: " + joined(resolver.missing(), ", "));
  }
}

}  // namespace

Library::Library(const std::vector<std::string>& candidate) : functions_(std::make_unique<FunctionTable>()) {
  std::vector<SharedObject> objects;
  objects.reserve(candidate.size());
  for (const std::string& file : candidate) {
    objects.emplace_back(file.c_str());
    files_.push_back(objects.back().path());
  }
  resolve(objects, files_, *functions_);
}

Library::~Library() = default;

std::shared_ptr<const Library> Library::open(const std::vector<std::vector<std::string>>& candidates) {
  std::string reasons;
  for (const std::vector<std::string>& candidate : candidates) {
    try {
      return std::shared_ptr<const Library>(new Library(candidate));  // the constructor is private
    } catch (const LibraryError& error) {
      // The loader's message, too, begins with the file that it could not load.
      reasons.append("\n  ").append(joined(candidate, " + ")).append(": ").append(error.what());
    }
  }
  throw LibraryError("no AscendCL library could be loaded:" + reasons +
                     "\n  folders searched for bare names: " + joined(SharedObject(nullptr).search_folders(), ":"));
}

}  // namespace npuserve::acl
