//! The integration suite: everything here goes through public APIs, in virtual time.

mod actors;
mod agents;
mod asks;
mod dead_letters;
mod fan_out;
mod faults;
mod from_asyncio;
mod house;
mod inspection;
mod leaks;
mod mailboxes;
mod models;
mod pages;
mod persistence;
mod pools;
mod recovery;
mod resilience;
mod seams;
mod streams;
mod supervision;
mod support;
mod teams;
mod testing;
mod virtual_actors;
mod watchdog;
mod watching;
