"""The stream worker: Faust at the edge (app, faust_consumer, faust_recovery), pure bookkeeping inside."""
