use lazaret_core::{Error, Kind, Template, TemplateSource, TemplateState};

use super::OpenedStore;
use crate::nouns;

pub(crate) async fn every_field_of_a_template_reads_back(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let sources = [
        TemplateSource::Image("debian:bookworm".to_owned()),
        TemplateSource::Sandbox(nouns::sandbox_id(7)),
        TemplateSource::Build,
    ];
    let mut wanted = Vec::new();
    for (number, source) in (1..).zip(sources) {
        let template = Template { source, ..nouns::template(number, account) };
        store.create_template(&template).await.unwrap();
        wanted.push(template);
    }
    assert_eq!(store.list_templates().await.unwrap(), wanted);
    for state in TemplateState::ALL {
        let changed = Template {
            state,
            reason: Some("it's \"quoted\"".to_owned()),
            image: Some(nouns::digest(3)),
            bytes: Some(5),
            updated_at: nouns::at(9),
            last_used_at: Some(nouns::at(8)),
            ..wanted[0].clone()
        };
        store.update_template(&changed).await.unwrap();
        assert_eq!(store.list_templates().await.unwrap()[0], changed);
    }
}

pub(crate) async fn a_templates_name_is_unique_within_its_account(opened: &OpenedStore) {
    let store = &opened.store;
    let one = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    let first = nouns::template(1, one);
    store.create_template(&first).await.unwrap();
    let same = Template { name: first.name.clone(), ..nouns::template(2, one) };
    let refused = store.create_template(&same).await;
    assert!(
        matches!(&refused, Err(Error::AlreadyExists { kind: Kind::Template, id }) if *id == first.name),
        "{refused:?}"
    );
    store.create_template(&Template { account: other, ..same.clone() }).await.unwrap();
    assert!(store.delete_template(first.id).await.unwrap());
    assert!(!store.delete_template(first.id).await.unwrap());
    let gone = store.update_template(&first).await;
    assert!(matches!(gone, Err(Error::NotFound { kind: Kind::Template, .. })), "{gone:?}");
    let refused = store.delete_account(other).await;
    assert!(matches!(refused, Err(Error::InUse { kind: Kind::Account, .. })), "{refused:?}");
}
