#include "grid/plan.hpp"
