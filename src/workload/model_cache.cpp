#include "workload/model_cache.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

std::unique_ptr<WeightSource> open_weights(const RunSpec& spec, int threads) {
  if (spec.weights == "random") return make_random_weights(spec.architecture, spec.seed, threads);
  return open_model_file(spec.weights, threads);
}

}  // namespace

LoadedModel ModelCache::load(const RunSpec& spec, const EngineContext& context, int threads) {
  const auto source = open_weights(spec, threads);
  const std::string key =
      fmt::format("{} {} {} rank {} of {}", to_yaml(source->architecture()), source->digest(),
                  name_of(spec.dtype), context.group->rank(), context.group->size());
  if (key == key_) return {model_, 0};
  model_.reset();
  key_.clear();
  context.device->synchronize();
  const auto begin = context.device->mark();
  // Products run with `batch` rows in decode; prefill's hundreds of rows are fast in any packing.
  model_ = load_model(*source, spec.dtype, std::min(spec.batch, spec.prefill_chunk), context);
  const auto end = context.device->mark();
  context.device->synchronize();
  key_ = key;
  return {model_, context.device->seconds_between(*begin, *end)};
}

}  // namespace hydrajob
