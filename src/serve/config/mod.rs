//! The configuration file: what it may hold, and what is wrong with it by key, value and line.

pub mod web;
