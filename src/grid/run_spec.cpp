#include "grid/run_spec.hpp"
