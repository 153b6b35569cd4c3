"""``python -m margin_lab.record``: make a recording. The code is in ``margin_lab.book.recordings``."""

from margin_lab.book.recordings.recorder import main

if __name__ == "__main__":
    main()
