#include "workload/model_run.hpp"

#include "workload/model_cache.hpp"

namespace hydrajob {

void ModelRun::prepare(const Batch& batch, const SamplingArgs& sampling) {
  const auto model = context_.models->load(run_.spec, context_.engine, context_.threads, recorder_);
  engine_.emplace(model, context_.engine);
  GenerateOptions options;
  options.mode = run_.spec.mode;
  options.prefill_chunk = run_.spec.prefill_chunk;
  options.sampling = sampling;
  engine_->prepare(batch, options);
  weights_bytes_ = bytes_of(*model);
}

void ModelRun::connect() {
  engine_->connect();
  memory_used_ =
      context_.ceilings.kernels_bytes + static_cast<double>(weights_bytes_ + engine_->bytes_prepared());
}

std::size_t ModelRun::time_phase(const std::string& phase, std::int32_t iteration, bool warmup,
                                 const std::function<void()>& work) {
  context_.check_time();
  context_.engine.group->barrier();
  const std::size_t interval = recorder_.begin(phase, iteration, 0, warmup);
  work();
  recorder_.end(interval);
  return interval;
}

void ModelRun::time_iteration(const std::string& phase, std::int32_t iteration, bool warmup,
                              const std::function<void()>& first) {
  engine_->reset();
  const std::size_t interval = time_phase(phase, iteration, warmup, first);
  for (std::int64_t step = 1; step < run_.spec.new_tokens; ++step) {
    context_.check_time();
    const std::size_t decode =
        recorder_.begin("decode_step", iteration, static_cast<std::int32_t>(step), warmup);
    engine_->decode();
    recorder_.end(decode);
  }
  recorder_.observe(interval);
}

}  // namespace hydrajob
