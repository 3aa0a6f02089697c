//! The integration suite: everything here goes through public APIs, in virtual time.

mod actors;
mod agents;
mod pages;
mod seams;
mod supervision;
mod house;
mod mailboxes;
mod support;
mod teams;
