"""Using trained models: class probabilities of documents, probabilities of texts, generated text."""
