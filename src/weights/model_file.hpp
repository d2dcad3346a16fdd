// One file of a model.
#pragma once

#include <memory>
#include <string>

#include "weights/model_metadata.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

// Gives the rows that the file holds, counted from the first of them. `metadata`: what it says of itself.
std::unique_ptr<WeightSource> open_single_file(const std::string& path, ModelMetadata metadata, int threads);

}  // namespace hydrajob::weights
