// Loaded models, as the aclmdl functions share them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "acl/abi.h"
#include "emulator/context.h"
#include "emulator/dataset.h"
#include "emulator/model/om_file.h"
#include "emulator/model/program.h"

namespace emulator {

// The tensors that an execution is given: the graph's ports, and behind the inputs the gear tensor if there are gears.
struct Signature {
  struct Tensor {
    Port port;
    size_t bytes;  // of the largest gear
  };

  explicit Signature(const Metadata& model);

  Metadata metadata;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;

  bool has_gears() const { return metadata.gear_kind != GearKind::none; }
  size_t gear_input() const { return metadata.inputs.size(); }
};

// A block of device memory that the model owns.
class ModelMemory {
 public:
  ModelMemory(int device, size_t bytes);  // nothing for 0 bytes; throws a Refusal (207001) on exhaustion
  ~ModelMemory();
  ModelMemory(const ModelMemory&) = delete;
  ModelMemory& operator=(const ModelMemory&) = delete;

 private:
  void* address_;
};

class LoadedModel {
 public:
  LoadedModel(const OmFile& file, std::shared_ptr<Context> context, bool own_work, bool own_weights);

  const Signature& signature() const { return signature_; }
  Execution& execution() { return execution_; }
  // Refuses unless the calling thread's context is the one that loaded the model (107002, 107004).
  Context& require_loading_context() const;

  // The gear that was set last on this model, on whatever dataset; what aclmdlGetCurOutputDims goes by.
  size_t shape_gear() const { return shape_gear_.load(); }
  void set_shape_gear(size_t gear) { shape_gear_.store(gear); }

  enum class Use { blocking, queued };
  // One execution from its submission to its end. Refuses (500002) if the model was used the other way before, or is in
  // flight on another stream. `stream` tells streams apart; a blocking execution is its own.
  class Flight {
   public:
    Flight(std::shared_ptr<LoadedModel> model, Use use, const void* stream);
    ~Flight();
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

   private:
    std::shared_ptr<LoadedModel> model_;
  };
  bool in_flight() const;

 private:
  const Signature signature_;
  const std::shared_ptr<Context> context_;
  const ModelMemory work_;
  const ModelMemory weights_;
  Execution execution_;
  std::atomic<size_t> shape_gear_;

  mutable std::mutex mutex_;
  std::optional<Use> use_;        // guarded by mutex_, as all below
  size_t flights_ = 0;            // submitted and not ended
  const void* stream_ = nullptr;  // of the flights
};

uint32_t add_model(std::shared_ptr<LoadedModel> model);
// Refuses (145003) an id that is unknown or unloaded.
std::shared_ptr<LoadedModel> require_model(uint32_t id);
void remove_model(uint32_t id);

// The dataset of a handle; refuses (100000) NULL and freed ones. `role` names it in the text.
std::shared_ptr<Dataset> require_dataset(const aclmdlDataset* handle, const char* role);
// Tensor `index` of it; refuses (100000) an entry that is NULL or freed.
std::shared_ptr<DataBuffer> require_buffer(const Dataset& dataset, size_t index, const char* role);

// Reads an OM; refuses with the code of what is wrong with it.
OmFile read_om(const char* path);
OmFile read_om(const void* data, size_t size);
OmFile read_om_bytes(std::shared_ptr<const OmBytes> bytes);

}  // namespace emulator
