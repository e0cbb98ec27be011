//! The boot archive (cpio newc) that holds manifest, kernels and initrds.

#![no_std]
