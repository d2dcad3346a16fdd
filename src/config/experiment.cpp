#include "config/experiment.hpp"
