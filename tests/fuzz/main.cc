// Runs a fuzz target without libFuzzer: on files and folders of files, and with --mutate on N changed copies of them.
//
//   replay_TARGET [--mutate N] [--seed S] [--keep FILE] PATH...
//
// The same seed makes the same inputs. --keep writes each input to FILE before it runs, so that a crash leaves it
// there.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kMaxInputBytes = size_t{1} << 16;

struct Options {
  size_t mutations = 0;
  uint64_t seed = 1;
  std::string keep;
  std::vector<std::filesystem::path> paths;
};

Options options_of(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (!name.starts_with("--")) {
      options.paths.emplace_back(name);
      continue;
    }
    if (i + 1 == arguments.size()) throw std::invalid_argument(name + " needs a value");
    const std::string& value = arguments[++i];
    if (name == "--mutate") {
      options.mutations = std::stoull(value);
    } else if (name == "--seed") {
      options.seed = std::stoull(value);
    } else if (name == "--keep") {
      options.keep = value;
    } else {
      throw std::invalid_argument("there is no option " + name);
    }
  }
  return options;
}

Input read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Input> read_all(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  }
  // Folders list their files in any order; the mutations must not depend on it.
  std::sort(files.begin(), files.end());
  std::vector<Input> inputs;
  for (const auto& file : files) inputs.push_back(read(file));
  return inputs;
}

class Mutator {
 public:
  // REQUIRES: inputs is not empty and outlives this.
  Mutator(const std::vector<Input>& inputs, uint64_t seed) : inputs_(inputs), random_(seed) {}

  Input next() {
    Input input = inputs_[below(inputs_.size())];
    const size_t changes = 1 + below(4);
    for (size_t i = 0; i < changes; ++i) change(input);
    return input;
  }

 private:
  size_t below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

  static auto at(Input& input, size_t position) { return input.begin() + static_cast<std::ptrdiff_t>(position); }

  void change(Input& input) {
    if (input.empty()) input.push_back(0);
    const size_t position = below(input.size());
    const size_t length = 1 + below(std::min<size_t>(input.size() - position, 64));
    switch (below(6)) {
      case 0:
        input[position] = static_cast<uint8_t>(input[position] ^ 1U << below(8));
        break;
      case 1:
        input[position] = static_cast<uint8_t>(below(256));
        break;
      case 2: {
        constexpr uint8_t kEdges[] = {0, 1, 0x7f, 0x80, 0xff};
        std::fill_n(at(input, position), length, kEdges[below(std::size(kEdges))]);
        break;
      }
      case 3:
        input.erase(at(input, position), at(input, position + length));
        break;
      case 4:
        insert(input, position, Input(at(input, position), at(input, position + length)));
        break;
      default:
        splice(input, position);
    }
  }

  // Puts a piece of another input in.
  void splice(Input& input, size_t position) {
    const Input& other = inputs_[below(inputs_.size())];
    if (other.empty()) return;
    const size_t from = below(other.size());
    const auto first = other.begin() + static_cast<std::ptrdiff_t>(from);
    insert(input, position, Input(first, first + static_cast<std::ptrdiff_t>(1 + below(other.size() - from))));
  }

  static void insert(Input& input, size_t position, const Input& piece) {
    if (input.size() + piece.size() > kMaxInputBytes) return;
    input.insert(at(input, position), piece.begin(), piece.end());
  }

  const std::vector<Input>& inputs_;
  std::mt19937_64 random_;
};

// The file of --keep, if there is one. It stays open: a file system may write out what is truncated and closed, which
// takes longer than all else here.
class KeptInput {
 public:
  explicit KeptInput(const std::string& path) {
    if (path.empty()) return;
    file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), path);
  }
  KeptInput(const KeptInput&) = delete;
  KeptInput& operator=(const KeptInput&) = delete;
  ~KeptInput() {
    if (file_ >= 0) close(file_);
  }

  void write(const Input& input) {
    if (file_ < 0) return;
    const auto size = static_cast<ssize_t>(input.size());
    if (pwrite(file_, input.data(), input.size(), 0) != size || ftruncate(file_, size) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot keep an input");
    }
  }

 private:
  int file_ = -1;
};

void run(const Input& input, KeptInput& kept) {
  kept.write(input);
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

int run_all(const Options& options) {
  const std::vector<Input> inputs = read_all(options.paths);
  if (inputs.empty()) throw std::invalid_argument("no input was named");
  KeptInput kept(options.keep);
  for (const Input& input : inputs) run(input, kept);
  Mutator mutator(inputs, options.seed);
  for (size_t i = 0; i < options.mutations; ++i) run(mutator.next(), kept);
  std::printf("%zu inputs and %zu mutations ran\n", inputs.size(), options.mutations);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_all(options_of(std::vector<std::string>(argv + 1, argv + argc)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
