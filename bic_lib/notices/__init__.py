"""What is told to whom.

* `notify` what is worth a notice, and when a notice is worth a mail · `mail` notices by SMTP
"""
