//! The router's machine, driven as the runtime drives it, by scripted agents.

mod crash;
mod dag;
mod endings;
mod evidence;
mod failures;
mod fill;
mod simulation;
mod verify;
