"""How good a run is: metrics, baselines, evaluation on data sets and on recordings, reports."""
