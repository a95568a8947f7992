// Application Insights on a workspace, and the alert rules. The queries are files, so that docs and tests read the very same.
param token string
param location string
param tags object
param alertEmail string
param quietHours int
param backupHours int

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-bic-${token}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 90
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-bic-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

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

var alerts = [
  {
    name: 'run-failed'
    title: 'bic: a run failed'
    severity: 2
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/run-failed.kql')
  }
  {
    name: 'nothing-stored'
    title: 'bic: nothing was stored for hours'
    severity: 2
    window: 'P2D'
    every: 'PT1H'
    query: replace(loadTextContent('../queries/nothing-stored.kql'), '24h', '${quietHours}h')
  }
  {
    name: 'dead-letters'
    title: 'bic: visits to a site break down'
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/dead-letters.kql')
  }
  {
    name: 'backup-too-old'
    title: 'bic: the newest backup of a site is too old'
    severity: 2
    window: 'PT1H'
    every: 'PT1H'
    query: replace(loadTextContent('../queries/backup-too-old.kql'), '> 50', '> ${backupHours}')
  }
  {
    name: 'secret-refused'
    title: 'bic: a credential is refused'
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    query: loadTextContent('../queries/secret-refused.kql')
  }
]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: 'alert-bic-${alert.name}-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: alert.title
    severity: alert.severity
    enabled: true
    scopes: [workspace.id]
    evaluationFrequency: alert.every
    windowSize: alert.window
    autoMitigate: true
    skipQueryValidation: true // the tables appear with the first record
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: empty(alertEmail) ? [] : [people.id] }
  }
}]

output workspaceId string = workspace.id
output insightsName string = insights.name
