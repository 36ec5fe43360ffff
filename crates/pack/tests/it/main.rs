//! The pack's tests that need files: the real city, and one small pack made wrong in many ways.

mod chengdu;
mod mistakes;
