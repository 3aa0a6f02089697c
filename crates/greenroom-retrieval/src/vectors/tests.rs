//! The file of vectors, byte by byte, and the search that reads it.

use proptest::prelude::*;
use tantivy::directory::OwnedBytes;

use super::table::{Unusable, Writer, key};
use super::*;

fn unit(vector: &[f32]) -> Vec<f32> {
    normal(vector.to_vec()).expect("its numbers are numbers")
}

/// A file of a model `m` with three vectors of two numbers, as bytes.
fn three() -> Vec<u8> {
    let mut writer = Writer::anew(None, ("m", 2), None).unwrap();
    let vectors = [[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]].map(|vector| unit(&vector));
    let records: Vec<_> = ["a", "b", "c"].map(key).into_iter().zip(vectors).collect();
    writer.add(&records[..1]).unwrap();
    writer.add(&records[1..]).unwrap();
    writer.finish().unwrap().expect("it is in memory")
}

fn read(bytes: Vec<u8>) -> Result<Table, Unusable> {
    Table::read(OwnedBytes::new(bytes), "m")
}

fn numbers(table: &Table, text: &str) -> Option<Vec<f32>> {
    let row = table.row(key(text))?;
    Some(table.vector(row).iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The header is 25 bytes: 8, 4, 4, 4, the name, 4. A record is 16 + 8 + 4.
const HEADER: usize = 25;
const RECORD: usize = 28;

#[test]
fn what_is_written_is_read_in_the_published_form() {
    let bytes = three();
    assert_eq!(bytes.len(), HEADER + 3 * RECORD);
    assert_eq!(bytes[..21], *b"GRVECTR\n\x01\0\0\0\x02\0\0\0\x01\0\0\0m");
    let table = read(bytes).unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!((table.dimensions(), table.n_records(), table.is_sound()), (2, 3, true));
    assert_eq!(numbers(&table, "b"), Some(vec![0.0, 1.0]), "it is of length 1");
    assert_eq!(numbers(&table, "c"), Some(vec![0.6, 0.8]));
    assert_eq!(numbers(&table, "d"), None);
}

#[test]
fn keys_are_those_of_fnv_1a() {
    assert_eq!(key(""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
    assert_eq!(key("a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
}

#[test]
fn a_file_that_was_torn_anywhere_gives_its_whole_records() {
    let bytes = three();
    for len in 0..bytes.len() {
        match read(bytes[..len].to_vec()) {
            Err(why) => {
                assert!(len < HEADER, "{len}");
                assert_eq!(why, Unusable::Damaged);
            }
            Ok(table) => {
                let n_whole = (len - HEADER) / RECORD;
                let found = ["a", "b", "c"].map(|text| numbers(&table, text).is_some());
                assert_eq!(found, [n_whole > 0, n_whole > 1, false], "{len}");
                assert_eq!(table.is_sound(), (len - HEADER).is_multiple_of(RECORD), "{len}");
            }
        }
    }
}

#[test]
fn one_wrong_bit_costs_one_record_or_the_file() {
    let bytes = three();
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        match read(wrong) {
            Err(why) => assert!(at < HEADER && why == Unusable::Damaged, "{at}: {why:?}"),
            Ok(table) => {
                let found = ["a", "b", "c"].map(|text| numbers(&table, text).is_some());
                let struck = (at - HEADER) / RECORD;
                assert_eq!(found, [0, 1, 2].map(|record| record != struck), "{at}");
                assert!(!table.is_sound());
            }
        }
    }
    let other = Table::read(OwnedBytes::new(bytes), "n");
    assert_eq!(other.err(), Some(Unusable::OtherModel));
}

/// Passages in two segments with these vectors.
fn vectors(of_passages: &[Vec<f32>]) -> Vectors {
    let dimensions = of_passages[0].len();
    let mut writer = Writer::anew(None, ("m", dimensions), None).unwrap();
    let keys: Vec<_> = (0..of_passages.len()).map(|i| key(&i.to_string())).collect();
    let records: Vec<_> = keys.iter().copied().zip(of_passages.iter().map(|v| unit(v))).collect();
    writer.add(&records).unwrap();
    let table =
        read(writer.finish().unwrap().expect("memory")).unwrap_or_else(|why| panic!("{why:?}"));
    let (first, second) = keys.split_at(keys.len() / 2);
    let some = |keys: &[Key]| keys.iter().copied().map(Some).collect::<Vec<_>>();
    // A passage that was deleted stands in between.
    let second = [vec![None], some(second)].concat();
    Vectors::new(table, &vec![some(first), second]).expect("every passage has a vector")
}

proptest! {
    #[test]
    fn the_nearest_are_those_with_the_largest_cosine(
        of_passages in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 19), 2..40),
        query in prop::collection::vec(-1.0_f32..1.0, 19),
        n in 1_usize..12,
    ) {
        let query = unit(&query);
        let cosine = |vector: &[f32]| -> f32 {
            unit(vector).iter().zip(&query).map(|(left, right)| left * right).sum()
        };
        let half = of_passages.len() / 2;
        let index = |address: DocAddress| match address.segment_ord {
            0 => address.doc_id as usize,
            _ => half + address.doc_id as usize - 1,
        };
        let found = vectors(&of_passages).nearest(&query, n, |address| index(address) as u64);
        let found: Vec<f32> = found.into_iter().map(|a| cosine(&of_passages[index(a)])).collect();
        let mut wanted: Vec<f32> = of_passages.iter().map(|v| cosine(v)).collect();
        wanted.retain(|cosine| *cosine > 0.0);
        wanted.sort_by(|left, right| right.total_cmp(left));
        wanted.truncate(n);
        prop_assert_eq!(found.len(), wanted.len());
        for (left, right) in found.iter().zip(&wanted) {
            prop_assert!((left - right).abs() < 1e-5, "{:?} {:?}", found, wanted);
        }
    }
}

#[test]
fn equals_are_in_an_order_that_does_not_depend_on_the_layout() {
    let same = vec![vec![1.0, 1.0]; 6];
    let found = vectors(&same).nearest(&unit(&[1.0, 1.0]), 2, |address| {
        100 - u64::from(address.doc_id) - 10 * u64::from(address.segment_ord)
    });
    let places: Vec<_> = found.iter().map(|a| (a.segment_ord, a.doc_id)).collect();
    assert_eq!(places, [(1, 3), (1, 2)]);
}

#[test]
fn a_passage_without_a_vector_makes_all_of_them_useless() {
    let table = read(three()).unwrap_or_else(|why| panic!("{why:?}"));
    assert!(Vectors::new(table, &vec![vec![Some(key("a")), Some(key("d"))]]).is_none());
}

#[test]
fn vectors_are_made_of_length_1_whatever_their_numbers() {
    assert_eq!(normal(vec![3.0, f32::INFINITY]), None);
    assert_eq!(normal(vec![f32::NAN]), None);
    assert_eq!(normal(vec![0.0, 0.0]), Some(vec![0.0, 0.0]));
    assert_eq!(normal(vec![3e37, 4e37]), Some(vec![0.6, 0.8]));
    assert_eq!(normal(vec![3e-30, 4e-30]), Some(vec![0.6, 0.8]));
}
