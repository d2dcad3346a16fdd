#include "timing/ceilings.hpp"
