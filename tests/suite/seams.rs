//! Every implementation of a seam passes the seam's suite.

use std::sync::Arc;

use greenroom_core::brief::{Brief, ResearchBrief};
use greenroom_core::journal::{Journal as _, MemoryJournal, Runs};
use greenroom_core::message::Message;
use greenroom_core::model::ChatRequest;
use greenroom_journal::{Durability, SqliteJournal, SqliteOptions};
use greenroom_models::Extractive;
use greenroom_retrieval::{Corpus, CorpusOptions};
use greenroom_testkit::conformance;

#[tokio::test(start_paused = true)]
async fn the_journal_in_memory_conforms() {
    conformance::journal("memory", Arc::new(MemoryJournal::new())).await;
    conformance::journal("memory, keeping many", Arc::new(MemoryJournal::keeping(1000))).await;
}

/// In real time: the disk does not wait in virtual time.
#[tokio::test]
async fn the_durable_journal_conforms_in_every_mode() {
    for durability in [Durability::Durable, Durability::Relaxed, Durability::Ephemeral] {
        let dir = tempfile::tempdir().expect("there is a directory for it");
        let options = SqliteOptions::new(dir.path()).durability(durability);
        let journal = options.open().expect("it is new");
        conformance::journal(&format!("{durability:?}"), Arc::new(journal.clone())).await;
        let runs = journal.runs(Runs::Newest(99)).await;
        drop(journal);
        let survives = durability != Durability::Ephemeral;
        let reopened = SqliteJournal::open(dir.path()).expect("nobody owns it any more");
        assert_eq!(reopened.runs(Runs::Newest(99)).await == runs, survives, "{durability:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_offline_model_conforms() {
    let brief = ResearchBrief { question: "What is a mailbox?".into(), context: Vec::new() };
    let conversations = [
        vec![Brief::Research(brief).to_message()],
        vec![Message::system("Be brief."), Message::user("What is 2 + 2?")],
        vec![],
    ];
    for messages in conversations {
        let request = ChatRequest { messages: Arc::new(messages), ..ChatRequest::default() };
        conformance::chat_model("extractive", &Extractive::new(), request).await;
    }
}

#[tokio::test]
async fn a_corpus_conforms() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let corpus = Corpus::open(CorpusOptions::new([docs])).await.expect("the docs are there");
    let found = conformance::retriever("corpus", &corpus, "mailbox").await;
    assert!(!found.is_empty(), "the docs speak of mailboxes");
}
