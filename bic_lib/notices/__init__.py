"""What is told to whom.

* `notify` what is worth a notice, and when a notice is worth a message · `ways` the ways that the settings name · `mail` notices
  by SMTP · `channels` notices by other services, through Apprise · `stepped_in` where something else answered
* `secret_urls` URLs that hold a secret
* `heartbeat` a URL that is asked while all is well · `telling` notices and heartbeat after a tick · `trial` a test of each
"""
