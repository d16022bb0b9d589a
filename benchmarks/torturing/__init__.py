"""The torture of sheetflow: real runs, killed and starved at every door, checked independently."""
