//! Stage 2 translation tables: descriptors, walks, edits and the invalidations they owe.

#![no_std]
