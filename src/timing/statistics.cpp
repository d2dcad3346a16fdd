#include "timing/statistics.hpp"
