"""What every part of ZADS Monitor shares."""
