#include "grid/cost_model.hpp"
