// The alert rules. The queries are files, so that docs and tests read the very same. A rule whose query names a site fires for
// each site by itself: one that is in trouble already hides no other.

@description('What makes names of this installation unlike all others.')
param token string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Resource id of the workspace that is asked.')
param workspaceId string

@description('Who is mailed; empty: nobody is.')
param alertEmail string

@description('Hours without any stored item after which a site is told.')
param quietHours int

@description('Hours that a site may be behind.')
param lagHours int

@description('Hours after which the newest backup of a site counts as too old.')
param backupHours int

@description('Each rule: what its rows are told apart by (empty: by nothing), how far back its query looks, how often it is asked.')
var alerts = [
  {
    name: 'run-failed'
    title: 'bic: a run failed'
    by: 'schedule'
    severity: 2
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/run-failed.kql')
  }
  {
    name: 'nothing-stored'
    title: 'bic: nothing of a site was stored for hours'
    by: 'site'
    severity: 2
    window: 'P2D'
    every: 'PT1H'
    query: replace(loadTextContent('../queries/nothing-stored.kql'), '24h', '${quietHours}h')
  }
  {
    name: 'ill'
    title: 'bic: something of a site is lost, will be, or is not proven, or it fails for an hour'
    by: 'site'
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/ill.kql')
  }
  {
    name: 'trouble'
    title: 'bic: something that is of no site is wrong'
    by: 'subject'
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/trouble.kql')
  }
  {
    name: 'lagging'
    title: 'bic: a site is far behind'
    by: 'site'
    severity: 2
    window: 'PT6H'
    every: 'PT1H'
    query: replace(loadTextContent('../queries/lagging.kql'), '> 30', '> ${lagHours}')
  }
  {
    name: 'site-silent'
    title: 'bic: nothing is told of a site'
    by: 'site'
    severity: 1
    window: 'P2D'
    every: 'PT15M'
    query: loadTextContent('../queries/site-silent.kql')
  }
  {
    name: 'silent'
    title: 'bic: it says nothing at all'
    by: ''
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/silent.kql')
  }
  {
    name: 'no-tick'
    title: 'bic: nothing ticks, so nothing becomes due'
    by: ''
    severity: 1
    window: 'P1D'
    every: 'PT15M'
    query: loadTextContent('../queries/no-tick.kql')
  }
  {
    name: 'dead-letters'
    title: 'bic: visits to a site break down'
    by: 'site'
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/dead-letters.kql')
  }
  {
    name: 'backup-too-old'
    title: 'bic: the newest backup of a site is too old'
    by: 'site'
    severity: 2
    window: 'PT1H'
    every: 'PT1H'
    query: replace(loadTextContent('../queries/backup-too-old.kql'), '> 50', '> ${backupHours}')
  }
  {
    name: 'secret-refused'
    title: 'bic: a credential is refused'
    by: 'subject'
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/secret-refused.kql')
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: 'ag-bic-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'bic'
    enabled: true
    emailReceivers: [{ name: 'operator', emailAddress: alertEmail, useCommonAlertSchema: true }]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in alerts: {
    name: 'alert-bic-${alert.name}-${token}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.title
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: alert.every
      windowSize: alert.window
      autoMitigate: true
      skipQueryValidation: true // the tables appear with the first record
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            dimensions: empty(alert.by) ? [] : [{ name: alert.by, operator: 'Include', values: ['*'] }]
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(alertEmail) ? [] : [people.id] }
    }
  }
]
