//! The shapes on topics and in files; conversions and nothing else.
