//! The configured slots, in a compact form: there may be ten thousand of them, and a program may use only one.
//!
//! Most slots have a single key with no settings except an id and a label. The ids and labels of these plain slots
//! are stored in one string, one after the other. The [`Slot`] is built when the caller needs it.

use super::model::{CertificateSource, Key, Keys, Service, Slot};
use super::quirks::Quirks;
use crate::cloud::KeyName;
use std::sync::Arc;

/// The configured slots, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// For each plain slot, the id of its key, followed by its label.
    names: String,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
enum Row {
    Plain(CompactSlot),
    Full(Box<Slot>),
}

/// A slot with a single key. The label of the slot is also the label of the key.
#[derive(Clone, Debug)]
struct CompactSlot {
    service: Arc<Service>,
    /// The offset of the id in `Slots::names`, in bytes. The label follows the id.
    start: u32,
    id_length: u16,
    label_length: u16,
    quirks: Quirks,
}

impl Slots {
    /// Returns the number of slots.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends a slot.
    pub fn push(&mut self, slot: Slot) {
        self.rows.push(Row::Full(Box::new(slot)));
    }

    /// Appends a slot with a single key that has only an id and a label. The label is also that of the slot.
    pub fn push_compact(&mut self, id: &str, label: &str, service: Arc<Service>, quirks: Quirks) {
        let plain = self.compact_row(id, label, &service, quirks).map(Row::Plain);
        let slot = || Row::Full(Box::new(single_key_slot(id, label, service, quirks)));
        self.rows.push(plain.unwrap_or_else(slot));
    }

    /// Returns the slot at a position, or `None` if there is none. To be called once for each position: the keys,
    /// of which there may be thousands, are moved out of a slot that is not plain.
    pub fn take(&mut self, index: usize) -> Option<Slot> {
        if let Row::Full(slot) = self.rows.get_mut(index)? {
            let keys = std::mem::replace(&mut slot.keys, Keys::Named(Vec::new()));
            return Some(Slot { keys, ..(**slot).clone() });
        }
        self.get(index)
    }

    /// Returns a copy of the slot at a position, or `None` if there is none.
    pub fn get(&self, index: usize) -> Option<Slot> {
        self.rows.get(index).map(|row| self.slot(row))
    }

    /// Returns the label of the slot at a position, or `None` if there is none.
    pub fn label(&self, index: usize) -> Option<&str> {
        self.rows.get(index).map(|row| self.label_of(row))
    }

    /// Iterates over the slots. Each [`Slot`] is built when the iterator reaches it.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.rows.iter().map(|row| self.slot(row))
    }

    /// Iterates over the labels of the slots.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| self.label_of(row))
    }

    /// Iterates over the services of the slots.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.rows.iter().map(|row| match row {
            Row::Plain(plain) => &plain.service,
            Row::Full(slot) => &slot.service,
        })
    }

    /// Stores the id and the label and returns the row. Returns `None` if they are too long for the fields of the
    /// row.
    fn compact_row(&mut self, id: &str, label: &str, service: &Arc<Service>, quirks: Quirks) -> Option<CompactSlot> {
        let plain = CompactSlot {
            service: service.clone(),
            start: self.names.len().try_into().ok()?,
            id_length: id.len().try_into().ok()?,
            label_length: label.len().try_into().ok()?,
            quirks,
        };
        self.names.push_str(id);
        self.names.push_str(label);
        Some(plain)
    }

    fn slot(&self, row: &Row) -> Slot {
        match row {
            Row::Plain(plain) => {
                let (id, label) = self.names_of(plain);
                single_key_slot(id, label, plain.service.clone(), plain.quirks)
            }
            Row::Full(slot) => (**slot).clone(),
        }
    }

    fn label_of<'a>(&'a self, row: &'a Row) -> &'a str {
        match row {
            Row::Plain(plain) => self.names_of(plain).1,
            Row::Full(slot) => &slot.label,
        }
    }

    /// Returns the id of a plain slot's key and the label of the slot.
    fn names_of(&self, plain: &CompactSlot) -> (&str, &str) {
        let names = &self.names[plain.start as usize..];
        let (id, rest) = names.split_at(plain.id_length.into());
        (id, &rest[..plain.label_length.into()])
    }
}

fn single_key_slot(id: &str, label: &str, service: Arc<Service>, quirks: Quirks) -> Slot {
    let key = Key {
        name: KeyName { id: id.to_owned(), version: None },
        label: label.to_owned(),
        certificate: CertificateSource::Service,
    };
    Slot {
        label: label.to_owned(),
        service,
        keys: Keys::Named(vec![key]),
        hide_keys: Vec::new(),
        quirks,
        management: None,
    }
}

impl Extend<Slot> for Slots {
    fn extend<I: IntoIterator<Item = Slot>>(&mut self, slots: I) {
        slots.into_iter().for_each(|slot| self.push(slot));
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut all = Self::default();
        all.extend(slots);
        all
    }
}

impl PartialEq for Slots {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Slots {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::aws;

    fn other() -> Quirks {
        Quirks { accept_bare_digest: true, ..Quirks::default() }
    }

    #[test]
    fn plain_slots_and_others_come_back_as_they_were() {
        let service = Arc::new(Service::Aws(aws::Settings::default()));
        let long = "\u{e9}".repeat(40_000);
        let discovered = Slot { keys: Keys::Discovered, ..single_key_slot("", "all", service.clone(), other()) };
        let given = vec![
            single_key_slot("id-1", "one", service.clone(), Quirks::default()),
            discovered,
            single_key_slot("id-2", "", service.clone(), other()),
            single_key_slot(&long, "long", service.clone(), Quirks::default()),
        ];
        let mut slots = Slots::default();
        slots.push_compact("id-1", "one", service.clone(), Quirks::default());
        slots.push(given[1].clone());
        slots.push_compact("id-2", "", service.clone(), other());
        slots.push_compact(&long, "long", service, Quirks::default());
        assert_eq!(slots, given.iter().cloned().collect());
        assert_eq!(slots.labels().collect::<Vec<_>>(), ["one", "all", "", "long"]);
        assert_eq!((slots.len(), slots.services().count()), (4, 4));
        let taken: Vec<Slot> = (0..4).filter_map(|index| slots.take(index)).collect();
        assert_eq!(taken, given);
        assert_eq!(slots.take(4), None);
    }
}
