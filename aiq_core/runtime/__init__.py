"""Everything that needs torch: models, data, profiling, evaluation and training. Nothing else imports torch."""
