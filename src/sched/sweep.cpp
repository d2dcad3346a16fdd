#include "sched/sweep.hpp"
