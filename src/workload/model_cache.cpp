#include "workload/model_cache.hpp"

#include <fmt/format.h>

#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

std::unique_ptr<WeightSource> open_weights(const RunSpec& spec, const Communicator& group, int threads) {
  if (spec.weights == "random") return make_random_weights(spec.architecture, spec.seed, threads);
  return open_model_file(spec.weights, threads, group.rank(), group.size());
}

}  // namespace

std::shared_ptr<const Model> ModelCache::load(const RunSpec& spec, const EngineContext& context, int threads,
                                              Recorder& recorder) {
  const auto source = open_weights(spec, *context.group, threads);
  const std::string key =
      fmt::format("{} {} {} {} rank {} of {}", spec.device, to_yaml(source->architecture()), source->digest(),
                  name_of(spec.dtype), context.group->rank(), context.group->size());
  if (key == key_) return model_;
  drop();
  context.device->synchronize();
  const std::size_t interval = recorder.begin("load", 0, 0, false);
  model_ = load_model(*source, spec.dtype, rows_to_pack_for, context);
  recorder.end(interval);
  key_ = key;
  return model_;
}

void ModelCache::drop() {
  model_.reset();
  key_.clear();
}

}  // namespace hydrajob
