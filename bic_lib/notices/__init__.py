"""What is told to whom.

* `notify` what is worth a notice, and when a notice is worth a message · `ways` the ways that the settings name · `mail` notices
  by SMTP · `channels` notices by other services, through Apprise · `secret_urls` URLs that hold a secret
* `trial` a test of each way
"""
