#include "config/architecture.hpp"
