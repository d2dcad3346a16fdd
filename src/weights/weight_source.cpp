#include "weights/weight_source.hpp"
