/* The version: the one place that says it. What else repeats it is compared by tests/lua/version_spec.lua. */
#ifndef SM_VERSION_H
#define SM_VERSION_H

#define SM_VERSION "0.2.0"

#endif
