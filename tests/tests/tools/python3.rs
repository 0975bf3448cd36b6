//! With python3.

mod cases;
